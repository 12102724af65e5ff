#!/usr/bin/env python3
"""What kernels that gpu_kernels compiled lose when something else holds multiprocessors, as a collective's blocks do.

  run_held.py FOLDER [REGEX]    Medians of 24 runs in µs: alone, with 124 blocks, and while 8 multiprocessors are held.

A block of a spinning kernel with most of the shared memory holds one multiprocessor; the kernel is launched when all of them run. With more
than 8 the holders' own reads of host memory disturb: 16 and 24 gave times that are no kernel's.
"""
import ctypes
import sys

import torch

import cases
from run_kernels import check, cuda, load

PTX = b"""
.version 8.0
.target sm_90
.address_size 64
.visible .entry hold(.param .u64 place) {
  .reg .u64 %a, %now, %end;
  .reg .u32 %v;
  .reg .pred %p, %q;
  ld.param.u64 %a, [place];
  mov.u64 %now, %globaltimer;
  add.u64 %end, %now, 200000000;
AGAIN:
  nanosleep.u32 5000;
  ld.volatile.global.u32 %v, [%a];
  mov.u64 %now, %globaltimer;
  setp.ne.u32 %p, %v, 0;
  @%p bra DONE;
  setp.lt.u64 %q, %now, %end;
  @%q bra AGAIN;
DONE:
  ret;
}
"""
SHARED = 200 * 1024


class Holder:
    def __init__(self):
        module, self.function = ctypes.c_void_p(), ctypes.c_void_p()
        check(cuda.cuModuleLoadData(ctypes.byref(module), PTX + b"\0"), "hold")
        check(cuda.cuModuleGetFunction(ctypes.byref(self.function), module, b"hold"), "hold")
        check(cuda.cuFuncSetAttribute(self.function, 8, SHARED), "hold: shared memory")
        self.flag = torch.zeros(1, dtype=torch.int32).pin_memory()
        self.stream = torch.cuda.Stream()

    def time(self, run, held):
        """One run's µs while `held` multiprocessors are not free."""
        self.flag[0] = 0
        torch.cuda.synchronize()
        if held:
            address = ctypes.c_uint64(self.flag.data_ptr())
            values = (ctypes.c_void_p * 1)(ctypes.addressof(address))
            check(cuda.cuLaunchKernel(self.function, held, 1, 1, 32, 1, 1, SHARED, ctypes.c_void_p(self.stream.cuda_stream), values, None), "hold")
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        torch.cuda._sleep(100_000)  # The holders are there, and the launches wait in the queue.
        begin.record()
        run()
        end.record()
        end.synchronize()
        self.flag[0] = 1
        torch.cuda.synchronize()
        return begin.elapsed_time(end) * 1e3


def main():
    holder = Holder()
    median = lambda run, held=0: sorted(holder.time(run, held) for _ in range(24))[12]
    print(f"{'kernel':46s} {'alone':>8s} {'124 blocks':>10s} {'8 held':>8s}  of alone")
    for kernel in load(sys.argv[1], float("inf"), *sys.argv[2:3]):
        case = cases.find(kernel.name)
        buffers = kernel.make_buffers()
        torch.manual_seed(1)
        case.fill(buffers[:kernel.spec["inputs"]])
        run = kernel.bind(buffers)
        times = [median(run), median(kernel.bind(buffers, 124))] + [median(run, 8)]
        print(f"{kernel.name:46s} {times[0]:8.1f} {times[1]:10.1f} {times[2]:8.1f}  "
              + " ".join(f"{t / times[0]:.3f}" for t in times[1:]), flush=True)
        del buffers, run
        torch.cuda.empty_cache()


if __name__ == "__main__":
    main()
