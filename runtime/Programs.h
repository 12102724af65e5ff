// What commands and tests include beside Headers.h; precompiled once (SMELT_PCH), without optimisation.
#include "runtime/Headers.h"

#if __has_include(<CLI/CLI.hpp>)
#include <CLI/CLI.hpp>
#endif
#if __has_include(<gtest/gtest.h>)
#include <gtest/gtest.h>
#endif
