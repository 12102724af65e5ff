//===- Busy.h - A kernel that keeps a GPU busy ------------------*- C++ -*-===//
#pragma once

#include "runtime/device/Device.h"

namespace smelt::runtime::bench {

/// Loads kernel 0: multiplications and additions in registers, 16 blocks in turn for each of 132
/// multiprocessors, one at a time each (shared memory lets no second one in, as with large tiles of
/// a product). About 5 ms on an H200. Its argument is a place for one number.
Status loadBusyKernel(Device &device);

} // namespace smelt::runtime::bench
