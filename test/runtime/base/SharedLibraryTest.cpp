#include "runtime/base/SharedLibrary.h"

#include <dlfcn.h>
#include <gtest/gtest.h>

namespace smelt::runtime {
namespace {

TEST(SharedLibrary, TheFirstPlaceThatOpensIsTaken) {
  SharedLibrary library = openFirst({"/nonexistent/libm.so.6", "libm.so.6", "libc.so.6"});
  ASSERT_NE(library.handle, nullptr) << library.why;
  EXPECT_EQ(library.path, "libm.so.6");
  EXPECT_NE(::dlsym(library.handle, "cos"), nullptr);
}

TEST(SharedLibrary, WhereNothingOpensTheLastErrorIsTold) {
  SharedLibrary library = openFirst({"/nonexistent/liba.so", "/nonexistent/libb.so"});
  EXPECT_EQ(library.handle, nullptr);
  EXPECT_EQ(library.path, "");
  EXPECT_NE(library.why.find("/nonexistent/libb.so"), std::string::npos) << library.why;
}

TEST(SharedLibrary, PlacesAreJoinedByCommas) {
  EXPECT_EQ(joinPlaces({}), "");
  EXPECT_EQ(joinPlaces({"a", "b"}), "a, b");
}

} // namespace
} // namespace smelt::runtime
