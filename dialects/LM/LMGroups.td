//===- LMGroups.td - Groups of rows: matrices of one shape below each other ===//
// Included by LMOps.td.

def LM_GroupSumOp : LM_PureRowOp<"group_sum", [Diff]> {
  let summary = "Σ over the rows of each group: [N·R] to [N] (rows added in order)";
  let description = [{
    Group i is the rows i·R to (i + 1)·R. A norm per matrix of a bank is `group_sum(row_dot(x, x))`.

    ```mlir
    %8 = lm.group_sum %r : tensor<6xf32> -> tensor<3xf32>
    ```
  }];
  let arguments = (ins LM_Tensor:$x);
  let results = (outs LM_Tensor:$result);
  let assemblyFormat = "$x attr-dict `:` type($x) `->` type($result)";
  let hasVerifier = 1;
}

def LM_ExpandGroupsOp : LM_PureRowOp<"expand_groups", [Diff]> {
  let summary = "Each group's number at each of its rows: [N] to [N·R], result[t] = x[t div R]";
  let description = [{
    ```mlir
    %9 = lm.expand_groups %8 : tensor<3xf32> -> tensor<6xf32>
    ```
  }];
  let arguments = (ins LM_Tensor:$x);
  let results = (outs LM_Tensor:$result);
  let assemblyFormat = "$x attr-dict `:` type($x) `->` type($result)";
  let hasVerifier = 1;
}

def LM_AtLeastOp : LM_PureRowOp<"at_least", [SameOperandsAndResultType]> {
  let summary = "max(x, bound), element by element";
  let description = [{
    ```mlir
    %10 = lm.at_least %x {bound = 1.0e-10 : f64} : tensor<3x4xf32>
    ```
  }];
  let arguments = (ins LM_Tensor:$x, F64Attr:$bound);
  let results = (outs LM_Tensor:$result);
  let assemblyFormat = "$x attr-dict `:` type($x)";
}
