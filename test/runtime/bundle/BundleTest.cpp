#include "runtime/bundle/Bundle.h"
#include "runtime/base/Files.h"
#include "test/runtime/TemporaryFolder.h"
#include "test/runtime/bundle/ExampleManifest.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

using namespace smelt::runtime;
using namespace smelt::runtime::test;

static void overwrite(const std::string &path, const std::string &text) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << text;
}

class BundleTest : public ::testing::Test {
protected:
  void SetUp() override {
    Status status = writeBundle(bundle, exampleManifest(),
                                {{"spec.json", "{\"a\":1}"}, {"cpu.so", "machine code"}});
    ASSERT_TRUE(status.isOk()) << status.message();
  }
  TemporaryFolder folder;
  std::string bundle = folder / "x.smelt";
};

TEST_F(BundleTest, OpensWhatWasWritten) {
  StatusOr<Bundle> opened = openBundle(bundle);
  ASSERT_TRUE(opened.isOk()) << opened.status().message();
  EXPECT_EQ(opened->specText, "{\"a\":1}");
  EXPECT_EQ(opened->manifest.files.at("cpu.so").bytes, 12u);
  EXPECT_EQ(opened->manifestSha256.size(), 64u);
}

TEST_F(BundleTest, RefusesEveryFlippedByteAndEveryTruncation) {
  for (const std::string &name : listDirectory(bundle)) {
    std::string path = bundle + "/" + name, whole = *readFile(path);
    for (size_t i = 0; i < whole.size(); i += 1 + whole.size() / 400) {
      std::string changed = whole;
      changed[i] = static_cast<char>(changed[i] ^ (1 << (i % 8)));
      overwrite(path, changed);
      EXPECT_EQ(openBundle(bundle).status().code(), StatusCode::Corrupt) << name << " byte " << i;
      overwrite(path, whole.substr(0, i));
      EXPECT_EQ(openBundle(bundle).status().code(), StatusCode::Corrupt) << name << " cut at " << i;
    }
    std::filesystem::remove(path);
    StatusOr<Bundle> opened = openBundle(bundle);
    EXPECT_EQ(opened.status().code(), StatusCode::Corrupt) << name;
    EXPECT_NE(opened.status().message().find(name), std::string::npos);
    overwrite(path, whole);
  }
  EXPECT_TRUE(openBundle(bundle).isOk());
}

TEST_F(BundleTest, MissingFolderIsNamed) {
  EXPECT_EQ(openBundle(folder / "none").status().message(),
            "bundle " + (folder / "none") + ": there is no such folder");
}

TEST_F(BundleTest, TheWriterRefusesWhatTheReaderWould) {
  Manifest manifest = exampleManifest();
  manifest.programs[0].launches[0].kernel = 7;
  Status status = writeBundle(folder / "y.smelt", manifest, {{"spec.json", "{}"}, {"cpu.so", ""}});
  EXPECT_EQ(status.code(), StatusCode::Internal);
  EXPECT_FALSE(isDirectory(folder / "y.smelt"));
  status = writeBundle(folder / "y.smelt", exampleManifest(), {{"spec.json", "{}"}});
  EXPECT_NE(status.message().find("cpu.so"), std::string::npos);
}
