//===- Passes.td - Static memory planning ---------------------------------===//
#ifndef SMELT_MEMORY_PASSES
#define SMELT_MEMORY_PASSES

include "mlir/Pass/PassBase.td"

def SchedulePass : Pass<"smelt-schedule", "::mlir::ModuleOp"> {
  let summary = "Reorder the launches of each program so that it needs less workspace memory";
  let description = [{
    A launch may move past another one unless both touch the same bytes of a buffer and one of them writes: in-place writes, accumulated
    gradients and blocks of rows (`in @base`) keep their order where they meet. Of the orders that are tried (see LaunchOrder.h) the
    one whose memory plan is smallest is taken; program order stays unless another one is smaller, or, with ranks, as small and finishes gradients
    sooner, so that their sums can begin. The result depends on nothing but
    the module, and the values that a program computes do not change: only independent launches change places.

    ```mlir
    // before: @a and @b wait for their readers together
    exec.launch @make reads [@w] writes [@a] …
    exec.launch @make reads [@w] writes [@b] …
    exec.launch @use reads [@a] writes [@gradient.u] …
    exec.launch @use reads [@b] writes [@gradient.v] …
    // after: one after the other
    exec.launch @make reads [@w] writes [@a] …
    exec.launch @use reads [@a] writes [@gradient.u] …
    exec.launch @make reads [@w] writes [@b] …
    exec.launch @use reads [@b] writes [@gradient.v] …
    ```
  }];
  let options = [Option<"ranks", "ranks", "int64_t", "1", "Ranks of the job">];
  let dependentDialects = ["::mlir::exec::ExecDialect"];
  let statistics = [Statistic<"programs", "reordered", "Programs that need less memory in another order">,
                    Statistic<"bytesBefore", "bytes before", "Workspace bytes of those programs in program order">,
                    Statistic<"bytesAfter", "bytes after", "Workspace bytes of those programs in the order that was taken">];
}

def JoinLaunchesPass : Pass<"smelt-join-launches", "::mlir::ModuleOp"> {
  let summary = "Make one launch of independent ones";
  let description = [{
    For GPUs. Two launches of which neither reads or writes what the other writes, and whose kernels run in blocks of one size
    (`kernel.launches`, from smelt-plan-gpu-workspace), become one: a weight's gradient and the gradient of its input, say, or row kernels
    that finish different gradients. The later one moves up to the earlier one, so nothing between them may be what it waits for. All
    launches of the kernel that has fewer must find a place beside the other's, and the program must not need more workspace than the largest one did.

    ```mlir
    // before
    exec.launch @kernel_0 reads [@dy, @x] writes [@gradient.w] …
    exec.launch @kernel_1 reads [@dy, @w] writes [@dx] …
    // after
    exec.launch @kernel_0_with_1 reads [@dy, @x, @dy, @w] writes [@gradient.w, @dx] …
    ```
  }];
  let dependentDialects = ["::mlir::exec::ExecDialect", "::mlir::func::FuncDialect"];
  let options = [Option<"parts", "parts", "unsigned", "4", "The most launches that become one">,
                 Option<"updates", "updates", "bool", "true", "Also in optimiser updates">];
  let statistics = [Statistic<"joined", "joined", "Launches that became part of another one">];
}

def PlanMemoryPass : Pass<"smelt-plan-memory", "::mlir::ModuleOp"> {
  let summary = "Place every buffer in the arena";
  let description = [{
    Parameters, states, gradients, settings, constants, inputs, outputs, and workspace buffers that outlive a program (the results of
    setup) get memory of their own. The other workspace buffers share what is left: two overlap only if no program has both alive at
    once. A buffer is alive from the launch that first writes it to the last one that touches it. The plan is checked before it is
    accepted, and `exec.arena` tells its size. Every buffer begins at a multiple of 256 bytes.
    In an update that has collectives, buffers share nothing with each other or with what is alive at the end of a micro-batch if the arena
    does not grow by it: its launches may change places later (smelt-place-collectives).

    ```mlir
    // before
    exec.buffer workspace @a : tensor<16xf32> at 0 bytes 64
    exec.buffer workspace @b : tensor<16xf32> at 0 bytes 64
    exec.program @p "update" tokens 0 inputs {} outputs {} {
      exec.launch @k reads [@w] writes [@a] …
      exec.launch @k reads [@a] writes [@b] …
    // after
    exec.arena 768
    exec.buffer workspace @a : tensor<16xf32> at 256 bytes 64
    exec.buffer workspace @b : tensor<16xf32> at 512 bytes 64
    ```
  }];
  let dependentDialects = ["::mlir::exec::ExecDialect"];
  let statistics = [Statistic<"ownBytes", "own bytes", "Bytes of buffers that share nothing">,
                    Statistic<"sharedBytes", "shared bytes", "Bytes that the workspace buffers share">,
                    Statistic<"peakBytes", "peak bytes", "The most workspace bytes alive at once: no plan needs fewer">];
}
#endif
