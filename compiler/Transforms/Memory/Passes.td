//===- Passes.td - Static memory planning ---------------------------------===//
#ifndef SMELT_MEMORY_PASSES
#define SMELT_MEMORY_PASSES

include "mlir/Pass/PassBase.td"

def PlanMemoryPass : Pass<"smelt-plan-memory", "::mlir::ModuleOp"> {
  let summary = "Place every buffer in the arena";
  let description = [{
    Parameters, states, gradients, settings, constants, inputs, outputs, and workspace buffers that outlive a program (the results of
    setup) get memory of their own. The other workspace buffers share what is left: two overlap only if no program has both alive at
    once. A buffer is alive from the launch that first writes it to the last one that touches it. The plan is checked before it is
    accepted, and `exec.arena` tells its size.

    ```mlir
    // before
    exec.buffer workspace @a : tensor<16xf32> at 0 bytes 64
    exec.buffer workspace @b : tensor<16xf32> at 0 bytes 64
    exec.program @p "update" tokens 0 inputs {} outputs {} {
      exec.launch @k reads [@w] writes [@a] …
      exec.launch @k reads [@a] writes [@b] …
    // after
    exec.arena 192
    exec.buffer workspace @a : tensor<16xf32> at 64 bytes 64
    exec.buffer workspace @b : tensor<16xf32> at 128 bytes 64
    ```
  }];
  let dependentDialects = ["::mlir::exec::ExecDialect"];
  let statistics = [Statistic<"ownBytes", "own bytes", "Bytes of buffers that share nothing">,
                    Statistic<"sharedBytes", "shared bytes", "Bytes that the workspace buffers share">,
                    Statistic<"peakBytes", "peak bytes", "The most workspace bytes alive at once: no plan needs fewer">];
}
#endif
