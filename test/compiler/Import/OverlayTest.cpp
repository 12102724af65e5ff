//===- OverlayTest.cpp - Specs that stand on other specs ------------------===//
#include "compiler/Import/Grammar.h"
#include "test/compiler/Import/SpecText.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include <cstring>
#include <gtest/gtest.h>

namespace {

/// A folder of spec files that vanishes; messages name files relative to it.
class Overlay : public ::testing::Test {
protected:
  void SetUp() override {
    ASSERT_FALSE(llvm::sys::fs::createUniqueDirectory("overlay", folder));
    write("base.json", readInput("base.json"));
  }
  void TearDown() override { llvm::sys::fs::remove_directories(folder); }

  void write(const std::string &name, const std::string &text) {
    llvm::SmallString<128> path(folder);
    llvm::sys::path::append(path, name);
    llvm::sys::fs::create_directories(llvm::sys::path::parent_path(path));
    std::ofstream(path.str().str()) << text;
  }

  /// What a user sees, with the folder left out; `resolved` is the whole spec's text.
  std::string import(const std::string &name, bool shouldWork,
                     const std::vector<std::string> &overrides = {}) {
    mlir::MLIRContext context;
    std::string output;
    llvm::raw_string_ostream os(output);
    llvm::SourceMgr sourceMgr;
    mlir::SourceMgrDiagnosticHandler handler(sourceMgr, &context, os);
    smelt::ImportOptions options;
    options.sourceMgr = &sourceMgr;
    options.overrides = overrides;
    auto module = smelt::importSpec(context, (folder + "/" + name).str(), options);
    EXPECT_EQ(static_cast<bool>(module), shouldWork) << output;
    if (module)
      resolved = llvm::cast<mlir::StringAttr>(module->getOperation()->getAttr("smelt.spec")).str();
    std::string prefix = folder.str().str() + "/";
    for (size_t at; (at = output.find(prefix)) != std::string::npos;)
      output.erase(at, prefix.size());
    return output;
  }

  std::string edit(const std::string &path, const std::string &value, bool shouldWork) {
    write("edit.json", "{\n  \"smelt\": 1, \"base\": \"base.json\",\n  \"set\": {\n    \"" + path +
                           "\": " + value + "\n  }\n}\n");
    return import("edit.json", shouldWork);
  }
  bool has(const std::string &text) const { return resolved.find(text) != std::string::npos; }

  llvm::SmallString<128> folder;
  std::string resolved;
};

TEST_F(Overlay, ChangesValues) {
  EXPECT_EQ(edit("training.steps", "60", true), "");
  EXPECT_TRUE(has("\"steps\": 60"));
  EXPECT_TRUE(has("\"name\": \"edit\"")); // the file's
  write("named.json", R"({"smelt": 1, "base": "base.json", "name": "other", "about": "why"})");
  EXPECT_EQ(import("named.json", true), "");
  EXPECT_TRUE(has("\"name\": \"other\""));
  EXPECT_TRUE(has("\"about\": \"why\""));
}

TEST_F(Overlay, PathsReachEverything) {
  EXPECT_EQ(edit("training.stages[-1].tokens", "64", true), "");
  EXPECT_TRUE(has("\"until\": 1, \"tokens\": 64"));
  EXPECT_EQ(edit("training.stages.0.tokens", "48", true), "");
  EXPECT_TRUE(has("\"until\": \"1/3\", \"tokens\": 48"));
  EXPECT_EQ(edit("forward[layers].layers[mlp].mlp.activation", "\"relu\"", true), "");
  EXPECT_TRUE(has("\"activation\": \"relu\""));
  EXPECT_EQ(edit("forward[layers].layers[attention].attention.k[token_shift].only", "[0]", true),
            "");
  EXPECT_TRUE(has("\"only\": [0]"));
  EXPECT_EQ(edit("training.optimizers[1].parameters[\\\"layers.*\\\"]", "{\"lr\": 3}", true), "");
  EXPECT_TRUE(has("\"layers.*\": {\"lr\": 3}"));
  EXPECT_EQ(edit("training.optimizers[1].parameters.layers.*.lr", "5", true), "");
  EXPECT_TRUE(has("\"layers.*\": {\"lr\": 5}"));
}

TEST_F(Overlay, InsertsAppendsAndRemoves) {
  std::string norm = "{\"rms_norm\": {}}", k = "forward[layers].layers[attention].attention.k";
  // The keys of k's steps in their order.
  auto steps = [&] {
    size_t at = resolved.find("\"k\": ["), end = resolved.find("\"v\": [");
    std::string order;
    for (; at < end; ++at)
      for (const char *key : {"rope", "rms_norm", "token_shift"})
        if (resolved.compare(at, std::strlen(key) + 3, std::string("{\"") + key + "\"") == 0)
          order += std::string(order.empty() ? "" : " ") + key;
    return order;
  };
  EXPECT_EQ(edit(k + "[+]", norm, true), "");
  EXPECT_EQ(steps(), "rope token_shift rms_norm");
  EXPECT_EQ(edit(k + "[+0]", norm, true), "");
  EXPECT_EQ(steps(), "rms_norm rope token_shift");
  EXPECT_EQ(edit(k + "[+token_shift]", norm, true), "");
  EXPECT_EQ(steps(), "rope rms_norm token_shift");
  EXPECT_EQ(edit(k + "[token_shift]", "null", true), "");
  EXPECT_EQ(steps(), "rope");
  EXPECT_EQ(edit("training.lr.warmup", "null", true), "");
  EXPECT_FALSE(has("warmup"));
  // Edits happen in their order: the second one sees what the first one left.
  write("two.json", R"({"smelt": 1, "base": "base.json", "set": {
    "forward[+1]": {"scale": 0.5}, "forward[1].scale": 0.25}})");
  EXPECT_EQ(import("two.json", true), "");
  EXPECT_TRUE(has("{\"scale\": 0.25}"));
}

TEST_F(Overlay, ChainsAndFolders) {
  write("deep/one.json", R"({"smelt": 1, "base": "../base.json", "set": {"training.seed": 5}})");
  write("deep/two.json", R"({"smelt": 1, "base": "one.json", "set": {"training.steps": 30}})");
  EXPECT_EQ(import("deep/two.json", true), "");
  EXPECT_TRUE(has("\"seed\": 5") && has("\"steps\": 30") && has("\"name\": \"two\""));
  // The command line comes last.
  EXPECT_EQ(import("deep/two.json", true, {"training.steps=60"}), "");
  EXPECT_TRUE(has("\"steps\": 60"));
}

TEST_F(Overlay, ErrorsPointAtTheFileThatIsWrong) {
  // A wrong value of the overlay.
  EXPECT_EQ(edit("training.seed", "-1", false), "edit.json:4:22: error: 'seed' must be at least 0\n"
                                                "    \"training.seed\": -1\n"
                                                "                     ^\n");
  // A value of the base that is wrong because of the overlay.
  std::string seen = edit("dims.layers", "1", false);
  EXPECT_NE(seen.find("base.json:23:"), std::string::npos) << seen;
  EXPECT_NE(seen.find("edit.json:4:"), std::string::npos) << seen;
  // A base that is wrong itself.
  write("base.json", replaceOnce(readInput("base.json"), R"("vocab": 256)", R"("vocab": 0)"));
  seen = edit("training.seed", "1", false);
  EXPECT_EQ(seen.substr(0, 44), "base.json:4:80: error: 'vocab' must be at le") << seen;
}

TEST_F(Overlay, WrongPaths) {
  auto first = [&](const std::string &path, const std::string &value = "1") {
    std::string seen = edit(path, value, false);
    return seen.substr(0, seen.find('\n'));
  };
  EXPECT_EQ(
      first("trainig.steps"),
      "edit.json:4:5: error: the spec has no 'trainig' on the way to 'trainig.steps'; did you "
      "mean 'training'?");
  EXPECT_EQ(first("training.stpes", "null"),
            "edit.json:4:5: error: the spec has no 'stpes' on the way to 'training.stpes'; did you "
            "mean 'steps'?");
  EXPECT_EQ(first("forward[9]"), "edit.json:4:5: error: there is no element 9: the list has 6");
  EXPECT_EQ(first("forward[lyaers]"), "edit.json:4:5: error: no element has the key 'lyaers'; did "
                                      "you mean 'layers'?");
  EXPECT_EQ(first("training.stages[tokens]"),
            "edit.json:4:5: error: 2 elements have the key 'tokens': say which, as in 'tokens#1'");
  EXPECT_EQ(first("training.stages[tokens#3]"),
            "edit.json:4:5: error: there are only 2 elements with the key 'tokens'");
  EXPECT_EQ(first("dims[0]"), "edit.json:4:5: error: '[0]' needs a list, and this is an object");
  EXPECT_EQ(first("dims.layers.more"), "edit.json:4:5: error: 'more' leads into a number");
  EXPECT_EQ(first("forward[0"), "edit.json:4:5: error: wrong path 'forward[0': '[' without ']'");
  EXPECT_EQ(first("forward[+].embed"), "edit.json:4:5: error: wrong path 'forward[+].embed': "
                                       "nothing can come after a new element");
  // The note shows where in the base the path has led.
  EXPECT_NE(edit("forward[9]", "1", false).find("base.json:14:14: note: this is where the path"),
            std::string::npos);
}

TEST_F(Overlay, WrongBases) {
  write("missing.json", "{\"smelt\": 1,\n \"base\": \"nothing.json\"}");
  EXPECT_EQ(import("missing.json", false),
            "missing.json:2:10: error: cannot read the base 'nothing.json': No such file or "
            "directory\n \"base\": \"nothing.json\"}\n         ^\n");
  write("folder.json", "{\"smelt\": 1, \"base\": \"..\"}");
  EXPECT_NE(import("folder.json", false).find("is no file of at most 16 MiB"), std::string::npos);
  write("device.json", "{\"smelt\": 1, \"base\": \"/dev/zero\"}");
  EXPECT_NE(import("device.json", false).find("'/dev/zero' is no file"), std::string::npos);
  write("list.json", "[1]");
  write("on-list.json", "{\"smelt\": 1, \"base\": \"list.json\"}");
  EXPECT_EQ(import("on-list.json", false).substr(0, 45),
            "list.json:1:1: error: a spec must be an objec");
  write("key.json", "{\"smelt\": 1, \"base\": \"base.json\", \"sett\": {}}");
  std::string seen = import("key.json", false);
  EXPECT_NE(seen.find("key.json:1:35: error: unknown key 'sett' in the spec"), std::string::npos)
      << seen;
  EXPECT_NE(seen.find("did you mean 'set'?"), std::string::npos) << seen;
}

TEST_F(Overlay, CyclesAreRefused) {
  write("a.json", R"({"smelt": 1, "base": "b.json"})");
  write("b.json", R"({"smelt": 1, "base": "c.json"})");
  write("c.json", R"({"smelt": 1, "base": "a.json"})");
  std::string seen = import("a.json", false);
  EXPECT_EQ(seen.substr(0, 48), "c.json:1:22: error: 'a.json' stands on itself\n{\"") << seen;
  EXPECT_NE(seen.find("a.json:1:22: note: by this base"), std::string::npos) << seen;
  EXPECT_NE(seen.find("b.json:1:22: note: by this base"), std::string::npos) << seen;
  write("self.json", R"({"smelt": 1, "base": "./self.json"})");
  EXPECT_NE(import("self.json", false).find("'self.json' stands on itself"), std::string::npos);
  // Not a cycle, but too long.
  write("chain0.json", R"({"smelt": 1, "base": "base.json"})");
  for (int i = 1; i < 20; ++i)
    write("chain" + std::to_string(i) + ".json",
          "{\"smelt\": 1, \"base\": \"chain" + std::to_string(i - 1) + ".json\"}");
  EXPECT_NE(import("chain19.json", false).find("more than 16 specs stand on each other"),
            std::string::npos);
  EXPECT_EQ(import("chain10.json", true), "");
}

TEST(OverlaySchema, PublishedFileIsThePrintedOne) {
  std::ifstream file(std::string(SMELT_MODELS) + "/overlay-schema.json");
  std::stringstream text;
  text << file.rdbuf();
  EXPECT_EQ(text.str(), smelt::printOverlaySchema())
      << "write it anew: build/test/bin/smelt-import --overlay-schema > models/overlay-schema.json";
}

} // namespace
