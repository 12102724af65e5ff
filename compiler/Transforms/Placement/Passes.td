//===- Passes.td - Communication beside computation ----------------------===//
#ifndef SMELT_PLACEMENT_PASSES
#define SMELT_PLACEMENT_PASSES

include "mlir/Pass/PassBase.td"

def PlaceCollectivesPass : Pass<"smelt-place-collectives", "::mlir::ModuleOp"> {
  let summary = "Run each collective beside the launches that do not need it";
  let description = [{
    On planned memory, last of all. For each training program and each kind of step (the set of updates that are due after it) that
    communicates, a program is added that is the whole end of such a step: the launches of the training program for the last micro-batch,
    then those of the updates, in one list. Its collectives run on the communication lane (`exec.lane`): each begins as early as the launches
    that touch its bytes allow, gradients' sums beside the rest of the backward pass and beside other updates, gathers of updated weights
    beside the rest of the updates, and on a GPU beside the end of the backward pass too: an update whose sums have ended 3 ms ago by the
    cost model, and which a gather waits for, comes between its launches (exec.updates_from counts it with them). A launch that touches a collective's bytes waits for it (`exec.wait`: numbers of the program's
    collectives; the end of the program waits for all). Launches of the updates change places, within their dependences, where one would wait
    and another can run, or where more gathering must come after one than after another. The programs themselves stay as they are and say the same, one after the other.

    What a launch or collective computes does not change, nor do the buckets depend on where they are placed: the sums are the same bits.
    Before, in each update program, the buckets of its sums are formed anew in the order in which the backward pass finishes the gradients, and those of
    its gathers in the order in which it finishes the weights: a bucket that has `bucket-bytes`, or an eighth of all (but 64 KiB), takes no more.
    A weight that has so many bytes itself is gathered alone: it waits for no other one, and no other one for it.

    On GPUs links that carry nothing for 50 ms sleep, and awake ones take power from kernels: collectives after which the lane would be idle for long wait
    for the next one, where that pays (ArrangeStep.h, `SleepingLinks`; test/compiler/Transforms/Placement/sleeping_links.mlir).

    On a GPU a collective takes multiprocessors from the launches beside it: `exec.collective_blocks` on the module, which the communicator is told.

    ```mlir
    // before
    exec.program @train.T8 "train" tokens 8 inputs {} outputs {} {
      exec.launch @k reads [@x] writes [@gradient.v] …
      exec.launch @k reads [@x] writes [@gradient.w] …
    }
    exec.program @update "update" tokens 0 inputs {} outputs {} {
      exec.all_reduce [@gradient.v]
      exec.all_reduce [@gradient.w]
      exec.launch @u reads [@gradient.w] writes [@w] …
      exec.launch @u reads [@gradient.v] writes [@v] …
    }
    // after: both, and
    exec.program @train.T8.last "train" … attributes {exec.last_of = @train.T8, exec.updates = ["update"], exec.updates_from = 2 : i64} {
      exec.launch @k reads [@x] writes [@gradient.v] …
      exec.all_reduce [@gradient.v] {exec.lane = "communication"}
      exec.launch @k reads [@x] writes [@gradient.w] …
      exec.all_reduce [@gradient.w] {exec.lane = "communication"}
      exec.launch @u reads [@gradient.v] writes [@v] {exec.wait = array<i64: 0>} …
      exec.launch @u reads [@gradient.w] writes [@w] {exec.wait = array<i64: 1>} …
    }
    ```
  }];
  let options = [
    Option<"ranks", "ranks", "int64_t", "2", "Ranks of the job, for the cost model">,
    Option<"gpu", "gpu", "std::string", "\"\"", "GPU of the cost model; empty: a CPU">,
    Option<"bucketBytes", "bucket-bytes", "int64_t", "26214400", "A bucket that has so many bytes takes no more gradients">
  ];
  let dependentDialects = ["::mlir::exec::ExecDialect"];
  let statistics = [Statistic<"programs", "programs", "Programs that were added">,
                    Statistic<"collectives", "collectives", "Collectives on the communication lane, in all of them">];
}
#endif
