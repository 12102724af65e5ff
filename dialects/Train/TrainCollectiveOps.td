//===- TrainCollectiveOps.td - Communication between ranks ---------------===//
#ifndef SMELT_TRAIN_COLLECTIVE_OPS
#define SMELT_TRAIN_COLLECTIVE_OPS

include "dialects/Train/TrainOps.td"

def Train_AllReduceOp : Train_Op<"all_reduce", [DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "Replaces gradients by their sums over all ranks";
  let description = [{
    Of parameters or banks whose gradients have one element type: one bucket, one message. What the program reads are the sums, wherever
    the op stands. On one rank it does nothing.

    ```mlir
    train.all_reduce [@w, @v]
    ```
  }];
  let arguments = (ins ArrayAttr:$gradients);
  let assemblyFormat = "$gradients attr-dict";
}

def Train_ReduceScatterOp : Train_Op<"reduce_scatter", [DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "Gives each rank its part of gradients' sums over all ranks";
  let description = [{
    The parts are those of `train.read_gradient … {ranks = N}`: all that the program can read of these gradients. What the buffers hold
    elsewhere afterwards is unspecified.

    ```mlir
    train.reduce_scatter [@w, @v] ranks 4
    ```
  }];
  let arguments = (ins ArrayAttr:$gradients, I64Attr:$ranks);
  let assemblyFormat = "$gradients `ranks` $ranks attr-dict";
}

def Train_AllGatherOp : Train_Op<"all_gather", [DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "Makes parameters whole on all ranks from each rank's part, after the program's writes";
  let description = [{
    The parts are those of `train.write … {ranks = N}`. Wherever the op stands, it gathers what the program leaves.

    ```mlir
    train.all_gather [@w] ranks 4
    ```
  }];
  let arguments = (ins ArrayAttr:$parameters, I64Attr:$ranks);
  let assemblyFormat = "$parameters `ranks` $ranks attr-dict";
}

def Train_RankConstantOp : Train_Op<"rank_constant", [Pure]> {
  let summary = "This rank's part of a constant";
  let description = [{
    `value` has as many parts below each other as there are ranks: a table of rates, one for each matrix of a bank that the ranks share.

    ```mlir
    %3 = train.rank_constant dense<[1.0, 0.5]> : tensor<2xf32> : tensor<1xf32>
    ```
  }];
  let arguments = (ins ElementsAttr:$value);
  let results = (outs LM_Tensor:$part);
  let assemblyFormat = "$value attr-dict `:` type($part)";
  let hasVerifier = 1;
}
#endif
