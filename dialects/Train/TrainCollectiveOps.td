//===- TrainCollectiveOps.td - Communication between ranks ---------------===//
#ifndef SMELT_TRAIN_COLLECTIVE_OPS
#define SMELT_TRAIN_COLLECTIVE_OPS

include "dialects/Train/TrainOps.td"

def Train_AllReduceOp : Train_Op<"all_reduce", [DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "Replaces gradients by their sums over all ranks";
  let description = [{
    Of parameters or banks whose gradients have one element type: one bucket, one message. What reads them afterwards in the program sees the
    sums. On one rank it does nothing.

    ```mlir
    train.all_reduce [@w, @v]
    ```
  }];
  let arguments = (ins ArrayAttr:$gradients);
  let assemblyFormat = "$gradients attr-dict";
}
#endif
