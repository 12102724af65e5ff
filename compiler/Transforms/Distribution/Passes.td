//===- Passes.td - One program for many ranks ----------------------------===//
#ifndef SMELT_DISTRIBUTION_PASSES
#define SMELT_DISTRIBUTION_PASSES

include "mlir/Pass/PassBase.td"

def DistributePass : Pass<"smelt-distribute", "::mlir::ModuleOp"> {
  let summary = "Let the ranks of a job share a step";
  let description = [{
    The ranks deal out the micro-batches of each step among themselves, so gradients are sums over all ranks, and each rank updates a part:

    - Adam on a parameter of at least `shard-bytes`: a block of rows. Its gradient is reduced and scattered, its rows are updated, and all
      ranks gather the parameter.
    - Muon and NorMuon: whole matrices, as many for each rank; the bank is padded where they do not divide.
    - The rest is all-reduced, in buckets of one element type, and updated by all.

    What an optimiser keeps of a part is kept by its rank alone (`train.state` with `part_names`). A part is a multiple of 256 bytes. The run
    gets `job_ranks`; the micro-batches of every stage must divide among the ranks. With one rank nothing changes.

    ```mlir
    // before
    func.func @update() attributes {smelt.role = "update"} {
      %p = lm.read @w : tensor<256x64xf32>
      %g = train.read_gradient @w : tensor<256x64xf32>
      %m = lm.read @m : tensor<256x64xf32>
      …
      train.write @w, %p1 : tensor<256x64xf32>
    // after, for 4 ranks
    func.func @update() attributes {smelt.role = "update"} {
      train.reduce_scatter [@w] ranks 4
      %p = lm.read @w {ranks = 4 : i64} : tensor<64x64xf32>
      %g = train.read_gradient @w {ranks = 4 : i64} : tensor<64x64xf32>
      %m = lm.read @m : tensor<64x64xf32>
      …
      train.write @w, %p1 {ranks = 4 : i64} : tensor<64x64xf32>
      train.all_gather [@w] ranks 4
    ```

    Where programs read such a parameter in a narrower type only, that is what is gathered, and each rank keeps the wider values of its part alone
    (`smelt.master` on the parameter says their type, which gradients have too):

    ```mlir
    // before
    lm.parameter @w : tensor<256x64xf32> uniform 0.5
      %0 = lm.read @w : tensor<256x64xf32>
      %1 = lm.cast %0 : tensor<256x64xf32> -> tensor<256x64xbf16>
    // after, for 4 ranks
    lm.parameter @w : tensor<256x64xbf16> uniform 0.5 {smelt.master = f32}
    train.state @master.w : tensor<64x64xf32> {part_names = ["w"], part_rows = array<i64: 256>}
      %1 = lm.read @w : tensor<256x64xbf16>
    func.func @update() attributes {smelt.role = "update"} {
      %p = lm.read @master.w : tensor<64x64xf32>
      …
      train.write @master.w, %p1 : tensor<64x64xf32>
      %n = lm.cast %p1 : tensor<64x64xf32> -> tensor<64x64xbf16>
      train.write @w, %n {ranks = 4 : i64} : tensor<64x64xbf16>
      train.all_gather [@w] ranks 4
    ```
  }];
  let options = [Option<"ranks", "ranks", "int64_t", "1", "Ranks of the job">,
                 Option<"bucketBytes", "bucket-bytes", "int64_t", "26214400",
                        "A bucket that has so many bytes takes no more tensors">,
                 Option<"shardBytes", "shard-bytes", "int64_t", "32768",
                        "Smaller parameters of Adam are updated by all ranks">,
                 Option<"narrow", "narrow", "bool", "true",
                        "Gather the conversions of parameters to a narrower type where all but the "
                        "update reads these">,
                 Option<"shard", "shard", "bool", "true",
                        "Each rank updates a part; off: all ranks update everything">];
  let dependentDialects = ["::mlir::train::TrainDialect"];
  let statistics = [Statistic<"buckets", "buckets", "Collectives">,
                    Statistic<"narrowed", "narrowed",
                              "Tensors gathered in a narrower type than the update's">];
}
#endif
