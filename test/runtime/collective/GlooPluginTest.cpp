// What is said where Gloo's plugin is missing, or is something else. One process for each: the
// plugin is looked for once.
#include "runtime/collective/Collective.h"
#include "test/runtime/collective/RankThreads.h"

#include <cstdlib>
#include <fstream>

using namespace smelt::runtime;

namespace {

/// The message of a process in which SMELT_GLOO is `file`.
void expectFailure(const std::string &file, const std::string &message) {
  auto tryIt = [&] {
    ::setenv("SMELT_GLOO", file.c_str(), 1);
    runRanks(1, [](RankGroup &group) {
      Status status = makeGlooCollective(group).status();
      std::fprintf(stderr, "code %d: %s\n", static_cast<int>(status.code()),
                   status.message().c_str());
      group.leave();
    });
    std::exit(0);
  };
  EXPECT_EXIT(tryIt(), testing::ExitedWithCode(0), message);
}

TEST(GlooPluginTest, ItIsMissing) {
  expectFailure("/nonexistent/libsmelt_gloo.so",
                "code 2: ranks without NCCL need Gloo: there is no libsmelt_gloo.so \\(looked for "
                "/nonexistent/libsmelt_gloo.so\\); it is built where libgloo-dev is installed");
}

TEST(GlooPluginTest, ItDoesNotOpen) {
  std::string path = testing::TempDir() + "damaged_gloo.so";
  std::ofstream(path) << "no library";
  expectFailure(path,
                "code 2: ranks without NCCL need Gloo, and .*damaged_gloo.so does not open: ");
}

TEST(GlooPluginTest, ItIsSomethingElse) {
  expectFailure(SMELT_NO_PLUGIN, "code 2: libsmelt_gloo.so is none of Smelt's: it has no "
                                 "smeltGlooInterface");
}

} // namespace
