//===- AblationsTest.cpp - Each ablation changes what it says, and nothing else ===//
//
// The modules of an ablation and of its base are compared op by op, without locations and SSA
// names: what is only in one of them must be exactly what the table expects, at the expected steps.
//
//===----------------------------------------------------------------------===//
#include "dialects/LM/LMOps.h"
#include "dialects/Train/TrainOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "test/compiler/Import/SpecText.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include <gtest/gtest.h>
#include <map>
#include <set>

using namespace mlir;

namespace {

using Counts = std::map<std::string, int>;

struct Ablation {
  const char *name, *base;
  /// Ops of one training program by name: how many the ablation has lost and gained. An op whose
  /// attributes have changed is both.
  Counts lost, gained;
  /// What every such op's path, or that of one of its users, contains.
  const char *place;
  /// Parameters lost and gained.
  int parametersLost = 0, parametersGained = 0;
};

const std::vector<Ablation> &getAblations() {
  static const char *const record = "short-partial-key-offset", *const medium = "medium-smear-mtp";
  static const std::vector<Ablation> ablations = {
      {"no-key-offset", record, {{"lm.token_shift", 2}}, {}, ".k["},
      {"add-keys", record, {{"lm.token_shift", 2}}, {{"lm.token_shift", 2}}, ".k["},
      {"all-dims", record, {{"lm.token_shift", 2}}, {{"lm.token_shift", 2}}, ".k["},
      {"head-subset", record, {{"lm.token_shift", 2}}, {{"lm.token_shift", 2}}, ".k["},
      {"mask-documents", record, {{"lm.token_shift", 2}}, {{"lm.token_shift", 2}}, ".k["},
      // Ten layers with attention instead of two.
      {"all-layers", record, {}, {{"lm.token_shift", 8}}, ".k["},
      {"gated-shift",
       record,
       {{"lm.token_shift", 2}},
       {{"lm.token_shift", 2}, {"lm.gate", 2}, {"lm.read", 2}, {"lm.cast", 2}},
       ".k[",
       0,
       2},
      {"shift-values", record, {}, {{"lm.token_shift", 2}}, ".v["},
      {"shift-queries", record, {}, {{"lm.token_shift", 2}}, ".q["},
      // The smear's factor and gate go.
      {"half-dims-stream",
       record,
       {{"lm.token_shift", 1}, {"lm.gate", 1}, {"lm.read", 2}, {"lm.cast", 1}},
       {{"lm.token_shift", 1}},
       "forward[1].token_shift",
       2,
       0},
      {"smear-mlps",
       record,
       {},
       {{"lm.token_shift", 11}, {"lm.gate", 11}, {"lm.read", 22}, {"lm.cast", 11}},
       ".mlp.input[1]",
       0,
       22},
      {"smear-head",
       record,
       {},
       {{"lm.token_shift", 1}, {"lm.read", 1}},
       "forward[7].token_shift",
       0,
       1},
      {"gated-smear-head",
       "ablations/smear-head",
       {{"lm.token_shift", 1}},
       {{"lm.token_shift", 1}, {"lm.gate", 1}, {"lm.read", 1}, {"lm.cast", 1}},
       "forward[7].token_shift",
       0,
       1},
      {"medium-no-smear-mtp",
       medium,
       {{"lm.token_shift", 1}, {"lm.read", 1}},
       {},
       "forward[9].token_shift",
       1,
       0},
      {"medium-smear-mlps",
       medium,
       {},
       {{"lm.token_shift", 16}, {"lm.read", 16}},
       ".mlp.input[1]",
       0,
       16},
      {"medium-mask-documents",
       medium,
       {{"lm.token_shift", 1}},
       {{"lm.token_shift", 1}},
       "forward[9].token_shift"},
      {"plain-1b",
       "plain-1b-smear-mtp",
       {{"lm.token_shift", 1}, {"lm.read", 1}},
       {},
       "forward[4].token_shift",
       1,
       0},
  };
  return ablations;
}

std::string pathOf(Operation *op) {
  auto name = dyn_cast<NameLoc>(op->getLoc());
  return name ? name.getName().str() : "";
}

/// The op without operand names; operand types stay. Shifts are told apart by their place as well,
/// but for the number of the step in 'forward', which an insertion changes. (Of ops that several
/// steps share, the first one's place is the op's, so places of others do not count.)
std::string describe(Operation &op) {
  std::string text;
  llvm::raw_string_ostream os(text);
  if (isa<lm::TokenShiftOp>(op))
    os << llvm::StringRef(pathOf(&op)).split(']').second << " ";
  os << op.getName() << " " << op.getAttrDictionary() << " (";
  llvm::interleaveComma(op.getOperandTypes(), os);
  os << ") -> (";
  llvm::interleaveComma(op.getResultTypes(), os);
  os << ")";
  return text;
}

class Ablations : public ::testing::Test {
protected:
  OwningOpRef<ModuleOp> import(const std::string &name) {
    ScopedDiagnosticHandler handler(&context, [&](Diagnostic &diagnostic) {
      ADD_FAILURE() << name << ": " << diagnostic.str();
      return success();
    });
    auto module = smelt::importSpec(context, std::string(SMELT_MODELS) + "/" + name + ".json");
    EXPECT_TRUE(module);
    return module;
  }

  using Ops = std::multimap<std::string, Operation *>;

  /// The ops of the first training program.
  static Ops collect(ModuleOp module) {
    Ops ops;
    for (auto function : module.getOps<func::FuncOp>())
      if (cast<StringAttr>(function->getAttr("smelt.role")).getValue() == "train") {
        for (Operation &op : function.getBody().front())
          ops.emplace(describe(op), &op);
        return ops;
      }
    return ops;
  }

  /// The ops of `from` that `other` does not have as often.
  static std::vector<Operation *> subtract(const Ops &from, const Ops &other) {
    std::vector<Operation *> rest;
    for (auto it = from.begin(); it != from.end();) {
      size_t mine = from.count(it->first), theirs = other.count(it->first);
      for (size_t i = 0; i < mine; ++i, ++it)
        if (i >= theirs)
          rest.push_back(it->second);
    }
    return rest;
  }

  /// Looks from an op to its users as well: a scalar's read stands where the scalar is declared.
  static bool standsAt(Operation *op, llvm::StringRef place, int depth = 3) {
    if (llvm::StringRef(pathOf(op)).contains(place))
      return true;
    return depth > 0 && llvm::any_of(op->getUsers(), [&](Operation *user) {
             return standsAt(user, place, depth - 1);
           });
  }

  static Counts count(const std::vector<Operation *> &ops) {
    Counts counts;
    for (Operation *op : ops)
      ++counts[op->getName().getStringRef().str()];
    return counts;
  }

  static std::set<std::string> parametersOf(ModuleOp module) {
    std::set<std::string> parameters;
    for (auto parameter : module.getOps<lm::ParameterOp>())
      parameters.insert(parameter.getSymName().str() + " " + describe(*parameter));
    return parameters;
  }

  /// Schedules and the run, but for the model's name.
  static std::string describeRun(ModuleOp module) {
    std::string text;
    for (Operation &op : module.getOps())
      if (isa<train::ScheduleOp>(op))
        text += describe(op) + "\n";
    for (auto run : module.getOps<train::RunOp>())
      for (llvm::StringRef part : {"training", "data"}) {
        llvm::raw_string_ostream os(text);
        os << run.getConfig().get(part) << "\n";
      }
    return text;
  }

  MLIRContext context;
};

TEST_F(Ablations, EachChangesWhatItSays) {
  for (const Ablation &ablation : getAblations()) {
    SCOPED_TRACE(ablation.name);
    auto base = import(ablation.base), changed = import(std::string("ablations/") + ablation.name);
    ASSERT_TRUE(base && changed);
    Ops before = collect(*base), after = collect(*changed);
    ASSERT_GT(before.size(), 100u);
    std::vector<Operation *> lost = subtract(before, after), gained = subtract(after, before);
    EXPECT_EQ(count(lost), ablation.lost);
    EXPECT_EQ(count(gained), ablation.gained);
    EXPECT_FALSE(lost.empty() && gained.empty());
    for (auto *list : {&lost, &gained})
      for (Operation *op : *list)
        EXPECT_TRUE(standsAt(op, ablation.place)) << describe(*op) << " at " << pathOf(op);
    std::set<std::string> old = parametersOf(*base), now = parametersOf(*changed);
    std::vector<std::string> fewer, more;
    std::set_difference(old.begin(), old.end(), now.begin(), now.end(), std::back_inserter(fewer));
    std::set_difference(now.begin(), now.end(), old.begin(), old.end(), std::back_inserter(more));
    EXPECT_EQ(fewer.size(), static_cast<size_t>(ablation.parametersLost));
    EXPECT_EQ(more.size(), static_cast<size_t>(ablation.parametersGained));
    // One optimiser fewer renumbers the schedules of the others.
    if (std::string(ablation.name) != "plain-1b")
      EXPECT_EQ(describeRun(*base), describeRun(*changed));
  }
}

TEST_F(Ablations, EveryFileIsInTheTable) {
  std::set<std::string> files, names;
  for (const Ablation &ablation : getAblations())
    names.insert(ablation.name);
  std::error_code error;
  for (llvm::sys::fs::directory_iterator it(std::string(SMELT_MODELS) + "/ablations", error), end;
       it != end && !error; it.increment(error))
    if (llvm::StringRef(it->path()).ends_with(".json"))
      files.insert(llvm::sys::path::stem(it->path()).str());
  EXPECT_FALSE(error);
  EXPECT_EQ(files, names);
}

} // namespace
