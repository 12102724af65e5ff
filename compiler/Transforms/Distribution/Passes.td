//===- Passes.td - One program for many ranks ----------------------------===//
#ifndef SMELT_DISTRIBUTION_PASSES
#define SMELT_DISTRIBUTION_PASSES

include "mlir/Pass/PassBase.td"

def DistributePass : Pass<"smelt-distribute", "::mlir::ModuleOp"> {
  let summary = "Let the ranks of a job share a step";
  let description = [{
    The ranks deal out the micro-batches of each step among themselves, so gradients are sums over all ranks: each update program begins by
    summing those that it reads, in buckets of one element type. The run gets `job_ranks`. The micro-batches of every stage must
    divide among the ranks. With one rank nothing changes.

    ```mlir
    // before
    func.func @update() attributes {smelt.role = "update"} {
      %g = train.read_gradient @w : tensor<4xf32>
      %h = train.read_gradient @b : tensor<2xf32>
    // after
    func.func @update() attributes {smelt.role = "update"} {
      train.all_reduce [@w, @b]
      %g = train.read_gradient @w : tensor<4xf32>
      %h = train.read_gradient @b : tensor<2xf32>
    ```
  }];
  let options = [
    Option<"ranks", "ranks", "int64_t", "1", "Ranks of the job">,
    Option<"bucketBytes", "bucket-bytes", "int64_t", "26214400", "A bucket that has so many bytes takes no more gradients">
  ];
  let dependentDialects = ["::mlir::train::TrainDialect"];
  let statistics = [Statistic<"buckets", "buckets", "Collectives">];
}
#endif
