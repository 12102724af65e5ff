#include "runtime/base/Files.h"
#include "test/runtime/TemporaryFolder.h"

#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace smelt::runtime;
using smelt::runtime::test::TemporaryFolder;

TEST(FilesTest, AtomicWriteReplacesAndLeavesNothingElse) {
  TemporaryFolder folder;
  ASSERT_TRUE(writeFileAtomically(folder / "a", "one").isOk());
  ASSERT_TRUE(writeFileAtomically(folder / "a", "two").isOk());
  EXPECT_EQ(*readFile(folder / "a"), "two");
  EXPECT_EQ(listDirectory(folder.path()), std::vector<std::string>{"a"});
}

TEST(FilesTest, MissingInputIsCorruptAndUnwritableIsStorage) {
  TemporaryFolder folder;
  EXPECT_EQ(readFile(folder / "none").status().code(), StatusCode::Corrupt);
  EXPECT_EQ(readFile(folder.path()).status().code(), StatusCode::Corrupt);
  EXPECT_EQ(MappedFile::open(folder / "none").status().code(), StatusCode::Corrupt);
  EXPECT_EQ(writeFileSynced(folder / "no/such", "x").code(), StatusCode::Storage);
  std::ofstream(folder / "big") << "0123456789";
  EXPECT_EQ(readFile(folder / "big", 9).status().code(), StatusCode::Corrupt);
}

TEST(FilesTest, PendingDirectoryReplacesInOneStep) {
  TemporaryFolder folder;
  for (const char *text : {"old", "new"}) {
    auto pending = PendingDirectory::create(folder / "x");
    ASSERT_TRUE(pending.isOk());
    ASSERT_TRUE(writeFileSynced(pending->path() + "/f", text).isOk());
    ASSERT_TRUE(pending->publish().isOk());
  }
  EXPECT_EQ(*readFile(folder / "x/f"), "new");
  EXPECT_EQ(listDirectory(folder.path()), std::vector<std::string>{"x"});
}

TEST(FilesTest, UnpublishedDirectoryDisappears) {
  TemporaryFolder folder;
  { ASSERT_TRUE(PendingDirectory::create(folder / "x").isOk()); }
  EXPECT_TRUE(listDirectory(folder.path()).empty());
}

TEST(FilesTest, LeftoversOfDeadWritersGo) {
  TemporaryFolder folder;
  // No process has this id: it is above Linux's largest pid_max.
  std::filesystem::create_directories(folder / ".writing-99999999-x/sub");
  std::filesystem::create_directories(folder / ".removing-99999999-y");
  std::filesystem::create_directories(folder / "kept");
  removeLeftovers(folder.path());
  EXPECT_EQ(listDirectory(folder.path()), std::vector<std::string>{"kept"});
}

// A file size limit makes write(2) fail as a full disk does, in a child process of its own.
TEST(FilesTest, AFullDiskKeepsTheOldFile) {
  TemporaryFolder folder;
  ASSERT_TRUE(writeFileAtomically(folder / "a", "old").isOk());
  pid_t child = fork();
  if (child == 0) {
    std::signal(SIGXFSZ, SIG_IGN);
    rlimit limit = {1000, 1000};
    setrlimit(RLIMIT_FSIZE, &limit);
    Status status = writeFileAtomically(folder / "a", std::string(5000, 'x'));
    _exit(exitCode(status.code()));
  }
  int result = 0;
  waitpid(child, &result, 0);
  EXPECT_EQ(WEXITSTATUS(result), 7);
  EXPECT_EQ(*readFile(folder / "a"), "old");
  EXPECT_EQ(listDirectory(folder.path()), std::vector<std::string>{"a"});
}
