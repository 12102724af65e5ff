//===- Passes.td - From kernel calls on tensors to launches on buffers ----===//
#ifndef SMELT_KERNELTOEXEC_PASSES
#define SMELT_KERNELTOEXEC_PASSES

include "mlir/Pass/PassBase.td"

def HoistSetupPass : Pass<"smelt-hoist-setup", "::mlir::ModuleOp"> {
  let summary = "Move what depends only on constants and steady settings into the setup program";
  let description = [{
    A kernel call whose operands are constants, settings that change at most between stages, or results of such calls is made once, in
    `func.func @setup`; its results are `train.state {derived}` tensors that the other programs read. Settings that change every step
    (slopes, `step`, `accumulate`) stay where they are: the runtime runs setup whenever one of its settings changes.

    ```mlir
    // before
    func.func @"train.T8"(…) attributes {smelt.role = "train"} {
      %f = lm.constant dense<[1.0, 0.5]> : tensor<2xf32>
      %table = call @kernel_0(%f) : (tensor<2xf32>) -> tensor<8x4xf32>
    // after
    train.state @setup.0 : tensor<8x4xf32> {derived}
    func.func @setup() attributes {smelt.role = "setup"} {
      %f = lm.constant dense<[1.0, 0.5]> : tensor<2xf32>
      %table = call @kernel_0(%f) : (tensor<2xf32>) -> tensor<8x4xf32>
      train.write @setup.0, %table : tensor<8x4xf32>
    func.func @"train.T8"(…) attributes {smelt.role = "train"} {
      %table = lm.read @setup.0 : tensor<8x4xf32>
    ```
  }];
  let dependentDialects = ["::mlir::lm::LMDialect", "::mlir::train::TrainDialect"];
  let statistics = [Statistic<"hoisted", "hoisted", "Calls moved into setup">];
}

def BufferizeKernelsPass : Pass<"smelt-bufferize-kernels", "::mlir::ModuleOp"> {
  let summary = "Turn programs on tensors into launches on buffers";
  let description = [{
    Functions with a `smelt.role` become `exec.program`s. Parameters, states, gradients, settings, constants, inputs and outputs get
    buffers of their own; every other kernel result gets a workspace buffer. Offsets are left 0 for `smelt-plan-memory`.

    A value that is written to a parameter, state or gradient, or returned, is made in that buffer. That is refused where somebody still
    wants the old contents: a later launch, or the kernel itself unless it reads each old element only to make the new one in its place
    (an element-wise path). Then the value goes to a workspace buffer and a copy at the end. A kernel that only reshapes is no launch.

    ```mlir
    // before
    func.func @update() attributes {smelt.role = "update"} {
      %p = lm.read @w : tensor<4xf32>
      %g = train.read_gradient @w : tensor<4xf32>
      %q = call @kernel_0(%p, %g) {smelt.label = "…", …} : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
      train.write @w, %q : tensor<4xf32>
    // after
    exec.buffer parameter @w : tensor<4xf32> at 0 bytes 16 init "normal" 1.0
    exec.buffer gradient @gradient.w : tensor<4xf32> at 0 bytes 16
    exec.program @update "update" tokens 0 inputs {} outputs {} {
      exec.launch @kernel_0 reads [@w, @gradient.w] writes [@w] {label = "…", …}
    ```
  }];
  let dependentDialects = ["::mlir::exec::ExecDialect", "::mlir::kernel::KernelDialect"];
  let statistics = [Statistic<"launches", "launches", "Launches in all programs">,
                    Statistic<"inPlace", "in place", "Values made in the buffer that they are written to">,
                    Statistic<"copies", "copies", "Copies because that was refused">];
}
#endif
