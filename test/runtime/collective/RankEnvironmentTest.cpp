#include "runtime/collective/RankEnvironment.h"

#include <gtest/gtest.h>
#include <map>

using namespace smelt::runtime;

namespace {

StatusOr<std::optional<RankEnvironment>> readFrom(const std::map<std::string, std::string> &variables) {
  return readRankEnvironment([&](const char *name) {
    auto it = variables.find(name);
    return it == variables.end() ? std::nullopt : std::optional<std::string>(it->second);
  });
}

RankEnvironment mustRead(const std::map<std::string, std::string> &variables) {
  auto environment = readFrom(variables);
  EXPECT_TRUE(environment.isOk()) << environment.status().message();
  EXPECT_TRUE(environment.isOk() && environment->has_value());
  return environment.isOk() ? environment->value_or(RankEnvironment()) : RankEnvironment();
}

std::string mustFail(const std::map<std::string, std::string> &variables) {
  auto environment = readFrom(variables);
  EXPECT_FALSE(environment.isOk());
  return environment.status().message();
}

TEST(RankEnvironment, NoneIsOneProcess) {
  auto environment = readFrom({{"SLURM_PROCID", "0"}, {"MASTER_PORT", "1"}});
  ASSERT_TRUE(environment.isOk());
  EXPECT_FALSE(environment->has_value());
}

TEST(RankEnvironment, Torchrun) {
  RankEnvironment read = mustRead({{"RANK", "5"}, {"WORLD_SIZE", "16"}, {"LOCAL_RANK", "1"}, {"LOCAL_WORLD_SIZE", "4"},
                                   {"MASTER_ADDR", "10.0.0.7"}, {"MASTER_PORT", "4242"}, {"TORCHELASTIC_RUN_ID", "x"}});
  EXPECT_EQ(read.source, "torchrun");
  EXPECT_EQ(read.rank, 5);
  EXPECT_EQ(read.size, 16);
  EXPECT_EQ(read.localRank, 1);
  EXPECT_EQ(read.localSize, 4);
  EXPECT_EQ(read.address, "10.0.0.7");
  EXPECT_EQ(read.port, 4243); // 4242 is torchrun's own store.
  EXPECT_EQ(mustRead({{"RANK", "0"}, {"WORLD_SIZE", "1"}, {"MASTER_PORT", "4242"}}).port, 4242);
}

TEST(RankEnvironment, Slurm) {
  std::map<std::string, std::string> variables{{"SLURM_PROCID", "3"}, {"SLURM_STEP_NUM_TASKS", "6"}, {"SLURM_LOCALID", "1"},
                                               {"SLURM_STEP_TASKS_PER_NODE", "2(x3)"}, {"SLURM_STEP_NODELIST", "node[03-05],other1"},
                                               {"SLURM_JOB_ID", "1234567"}};
  RankEnvironment read = mustRead(variables);
  EXPECT_EQ(read.source, "SLURM");
  EXPECT_EQ(read.rank, 3);
  EXPECT_EQ(read.size, 6);
  EXPECT_EQ(read.localSize, 2);
  EXPECT_EQ(read.address, "node03");
  EXPECT_EQ(read.port, 20000 + 1234567 % 20000);
  variables["SLURM_STEP_NODELIST"] = "gpu7,gpu8";
  variables["MASTER_PORT"] = "5000";
  EXPECT_EQ(mustRead(variables).address, "gpu7");
  EXPECT_EQ(mustRead(variables).port, 5000);
}

TEST(RankEnvironment, OpenMpi) {
  std::map<std::string, std::string> variables{{"OMPI_COMM_WORLD_RANK", "1"}, {"OMPI_COMM_WORLD_SIZE", "2"},
                                               {"OMPI_COMM_WORLD_LOCAL_RANK", "1"}, {"OMPI_COMM_WORLD_LOCAL_SIZE", "2"}};
  RankEnvironment read = mustRead(variables);
  EXPECT_EQ(read.source, "OpenMPI");
  EXPECT_EQ(read.rank, 1);
  EXPECT_EQ(read.address, "127.0.0.1");
  variables["OMPI_COMM_WORLD_SIZE"] = "4";
  EXPECT_NE(mustFail(variables).find("set MASTER_ADDR"), std::string::npos);
}

TEST(RankEnvironment, Errors) {
  EXPECT_NE(mustFail({{"RANK", "2"}, {"WORLD_SIZE", "2"}}).find("rank 2 of 2"), std::string::npos);
  EXPECT_NE(mustFail({{"RANK", "one"}, {"WORLD_SIZE", "2"}}).find("RANK is \"one\""), std::string::npos);
  EXPECT_NE(mustFail({{"RANK", "0"}, {"WORLD_SIZE", "-2"}}).find("WORLD_SIZE is \"-2\""), std::string::npos);
  EXPECT_NE(mustFail({{"RANK", "0"}, {"WORLD_SIZE", "2"}, {"MASTER_PORT", "70000"}}).find("70000"), std::string::npos);
}

} // namespace
