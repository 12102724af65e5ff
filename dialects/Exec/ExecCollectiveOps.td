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
#endif
