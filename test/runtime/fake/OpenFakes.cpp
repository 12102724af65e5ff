// main of the tests whose driver, NCCL or cuBLASLt is a fake (FAKES of smelt_add_unittest): it is
// named before anything is opened.
#include <cstdlib>
#include <gtest/gtest.h>

int main(int argc, char **argv) {
#ifdef SMELT_FAKE_CUDA
  ::setenv("SMELT_LIBCUDA", SMELT_FAKE_CUDA, 1);
#endif
#ifdef SMELT_FAKE_NCCL
  ::setenv("SMELT_NCCL", SMELT_FAKE_NCCL, 1);
#endif
#ifdef SMELT_FAKE_CUBLASLT
  ::setenv("SMELT_CUBLASLT", SMELT_FAKE_CUBLASLT, 1);
#endif
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
