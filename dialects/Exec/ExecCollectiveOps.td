//===- ExecCollectiveOps.td - Communication between ranks ----------------===//
#ifndef SMELT_EXEC_COLLECTIVE_OPS
#define SMELT_EXEC_COLLECTIVE_OPS

include "dialects/Exec/ExecOps.td"

def Exec_AllReduceOp : Exec_Op<"all_reduce", [DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "Replaces buffers by their sums over all ranks, after the launches before it";
  let description = [{
    The buffers have one element type; they go as one message.

    ```mlir
    exec.all_reduce [@g, @h]
    ```
  }];
  let arguments = (ins ArrayAttr:$buffers);
  let assemblyFormat = "$buffers attr-dict";
}

class Exec_PartsOp<string mnemonic> : Exec_Op<mnemonic, [DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let arguments = (ins ArrayAttr:$buffers, I64Attr:$ranks);
  let assemblyFormat = "$buffers `ranks` $ranks attr-dict";
}

def Exec_ReduceScatterOp : Exec_PartsOp<"reduce_scatter"> {
  let summary = "Replaces each rank's part of buffers by its sum over all ranks, in place";
  let description = [{
    A buffer's bytes are as many equal parts as there are ranks, each a multiple of 256 bytes. Afterwards rank r's part of its buffer is the
    sum; the rest is unspecified.

    ```mlir
    exec.reduce_scatter [@g4] ranks 4
    ```
  }];
}

def Exec_AllGatherOp : Exec_PartsOp<"all_gather"> {
  let summary = "Fills buffers with every rank's part, in place";
  let description = [{
    A buffer's bytes are as many equal parts as there are ranks, each a multiple of 256 bytes. Before, rank r has part r; afterwards every
    rank has all parts.

    ```mlir
    exec.all_gather [@g4] ranks 4
    ```
  }];
}
#endif
