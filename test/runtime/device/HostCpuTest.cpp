#include "runtime/device/cpu/HostCpu.h"

#include <gtest/gtest.h>

using namespace smelt::runtime;

TEST(HostCpuTest, FindsWhatIsMissingUnderLLVMsNames) {
  std::set<std::string> flags = {"sse2", "sse4_2", "avx2", "abm", "avx512_bf16"};
  EXPECT_TRUE(findMissingFeatures({"sse4.2", "avx2", "lzcnt", "avx512bf16"}, flags).empty());
  EXPECT_EQ(findMissingFeatures({"avx2", "avx512f", "+fma"}, flags),
            (std::vector<std::string>{"avx512f", "fma"}));
  // Names that generated code does not depend on, and unknown ones.
  EXPECT_TRUE(findMissingFeatures({"64bit", "shstk", "from-the-future"}, flags).empty());
}

TEST(HostCpuTest, TheMessageNamesTheFeature) {
  if (hostCpuFlags().empty())
    GTEST_SKIP() << "this system does not list the processor's flags";
  EXPECT_TRUE(checkHostRuns("x86-64", {"sse2"}).isOk());
  if (hostCpuFlags().count("fma4"))
    return;
  Status status = checkHostRuns("bdver1", {"fma4"}); // Only AMD processors of 2011–2015 have it.
  EXPECT_EQ(status.code(), StatusCode::Corrupt);
  EXPECT_NE(status.message().find("needs fma4"), std::string::npos) << status.message();
}
