#include "runtime/data/DescribeFiles.h"
#include "runtime/base/Sha256.h"
#include "test/runtime/TemporaryFolder.h"

#include <gtest/gtest.h>

#include <fstream>

using namespace smelt::runtime;
using smelt::runtime::test::TemporaryFolder;

TEST(DescribeFilesTest, SmallFilesAsAWholeLargeOnesByTheirEnds) {
  TemporaryFolder folder;
  std::ofstream(folder / "small") << "0123456789";
  std::ofstream(folder / "large") << "0123456789ab";
  auto files = describeFiles({folder / "small", folder / "large"}, /*whollyHashed=*/10,
                             /*hashedEnd=*/4);
  ASSERT_TRUE(files.isOk()) << files.status().message();
  EXPECT_EQ((*files)[0].bytes, 10u);
  EXPECT_TRUE((*files)[0].isWhole);
  EXPECT_EQ((*files)[0].sha256, sha256Hex("0123456789"));
  EXPECT_EQ((*files)[1].bytes, 12u);
  EXPECT_FALSE((*files)[1].isWhole);
  EXPECT_EQ((*files)[1].sha256, sha256Hex("012389ab"));
}

TEST(DescribeFilesTest, MissingFileIsAnError) {
  TemporaryFolder folder;
  auto files = describeFiles({folder / "none"});
  ASSERT_FALSE(files.isOk());
  EXPECT_EQ(files.status().code(), StatusCode::Corrupt);
}
