//===- Windows.cpp - How far attention sees -------------------------------===//
#include "compiler/Analysis/Windows.h"
#include "dialects/Train/TrainOps.h"

using namespace mlir;

double smelt::averageKeys(int64_t tokens, int64_t window, int64_t blocks) {
  double sum = 0;
  for (int64_t t = 0; t < tokens; ++t) {
    int64_t first = t - window;
    if (blocks)
      first = (t / blocks - (std::max<int64_t>(window / blocks, 1) - 1)) * blocks;
    sum += t - std::max<int64_t>(first, 0) + 1;
  }
  return sum / tokens;
}

int64_t smelt::getWindowAt(Value window, int64_t step, const SymbolTable &symbols) {
  if (auto constant = window.getDefiningOp<lm::ConstantOp>())
    return cast<DenseElementsAttr>(constant.getValue()).getSplatValue<APInt>().getSExtValue();
  auto setting = window.getDefiningOp<lm::SettingOp>();
  auto schedule = setting ? symbols.lookup<train::ScheduleOp>(setting.getSymbol()) : nullptr;
  if (!schedule)
    return 0;
  ArrayRef<double> pieces = schedule.getSegments();
  for (size_t i = 0; i + 3 < pieces.size(); i += 4)
    if (step <= pieces[i + 1])
      return static_cast<int64_t>(pieces[i + 2] + pieces[i + 3] * (step - pieces[i]));
  return static_cast<int64_t>(pieces[pieces.size() - 2]);
}

int64_t smelt::getLastStep(ModuleOp module, StringRef program) {
  int64_t ofProgram = -1, ofRun = 0;
  for (auto run : module.getOps<train::RunOp>())
    if (auto training = run.getConfig().getAs<DictionaryAttr>("training"))
      if (auto stages = training.getAs<ArrayAttr>("stages"))
        for (auto stage : stages.getAsRange<DictionaryAttr>()) {
          auto last = stage.getAs<IntegerAttr>("last");
          auto name = stage.getAs<StringAttr>("program");
          if (!last || !name)
            continue;
          ofRun = std::max(ofRun, last.getInt());
          if (name.getValue() == program)
            ofProgram = std::max(ofProgram, last.getInt());
        }
  return ofProgram < 0 ? ofRun : ofProgram;
}
