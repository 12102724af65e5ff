// A profiled run is the same run; what it writes can be read and adds up.
#include "runtime/train/Profile.h"
#include "runtime/base/Files.h"
#include "test/runtime/train/TrainingTest.h"

using namespace smelt::runtime;
using namespace smelt::runtime::test;

class ProfileTest : public TrainingTest {};

TEST_F(ProfileTest, AProfiledRunGivesTheSameBitsAndATrace) {
  TrainOptions options = optionsFor("profiled");
  options.profile = folder / "trace.json";
  TrainResult profiled = trainOrFail(options);
  EXPECT_EQ(profiled.finalHash, trainOrFail(optionsFor("plain")).finalHash);
  auto trace = nlohmann::json::parse(*readFile(options.profile));
  Manifest manifest = makeFakeManifest({});
  const Program *train = manifest.findProgram("train.32") ? manifest.findProgram("train.32")
                                                          : manifest.findProgramByRole("train");
  int programs = 0, launches = 0;
  double end = 0;
  for (const auto &event : trace["traceEvents"]) {
    if (event["ph"] != "X")
      continue;
    EXPECT_GE(event["dur"].get<double>(), 0);
    if (event["args"].contains("launches")) {
      EXPECT_GE(event["ts"].get<double>(), end) << "programs overlap";
      end = event["ts"].get<double>() + event["dur"].get<double>();
      programs += event["name"] == train->name;
      continue;
    }
    ++launches;
    EXPECT_TRUE(event["args"].contains("steps"));
  }
  EXPECT_EQ(programs, 2); // Steps 3 and 4, a micro-batch each.
  EXPECT_GE(launches, 2 * int(train->launches.size()));
}

static ProgramTiming makeTiming() {
  ProgramTiming run;
  run.program = "train";
  for (int layer : {0, 10})
    run.launches.push_back({"gemm layers." + std::to_string(layer) + ".mlp.up",
                            "kernel_1",
                            {"forward"},
                            2000000000,
                            1000000,
                            {{"operand a", 0, 0.5}, {"gemm", 0.5, 1.5}}});
  run.launches.push_back({"sum", "kernel_2", {}, 0, 8516000, {{"", 4, 1}}});
  return run;
}

TEST_F(ProfileTest, LayersAreOneRowAndTheRatesGiveTheLeastTime) {
  std::string table = writeProfileTable({makeTiming()}, {1000, 4258}, 10);
  EXPECT_NE(table.find("gemm layers.*.mlp.up (operand a 1.000, gemm 3.000)"), std::string::npos)
      << table;
  // 4 of 5 ms, two launches, 4 µs at 1000 TFLOP/s, 4 GFLOP, 2 MB, 1 TFLOP/s, 0.5 GB/s.
  EXPECT_NE(table.find("    4.000  80.0 %     2     0.004      4.00       2.0     1.00      0.5"),
            std::string::npos)
      << table;
  EXPECT_NE(table.find("     1     0.002      0.00       8.5     0.00      8.5  sum"),
            std::string::npos)
      << table;
  EXPECT_NE(table.find("all of train"), std::string::npos);
  EXPECT_NE(writeProfileTable({makeTiming()}, {}, 1).find("… 1 more"), std::string::npos);
}
