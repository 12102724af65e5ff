//===- KernelOps.td - Operations of the kernel dialect -------------------===//
#ifndef SMELT_KERNEL_OPS
#define SMELT_KERNEL_OPS

include "dialects/LM/LMTypes.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Kernel_Dialect : Dialect {
  let name = "kernel";
  let cppNamespace = "::mlir::kernel";
  let summary = "One op is one launch";
  let description = [{
    A kernel op has operands grouped by region; each region holds lm row ops on whole tensors, with the types the operands have. What a
    kernel computes is what interpreting its regions computes; a target evaluates them on tiles or rows instead. So one generator per
    kernel serves every fusion, and moving an op into a region is all that fusion does.
  }];
  let dependentDialects = ["::mlir::lm::LMDialect"];
}

def Kernel_OpInterface : OpInterface<"KernelOpInterface"> {
  let cppNamespace = "::mlir::kernel";
  let description = [{An op that is one launch.}];
  let methods = [
    InterfaceMethod<[{Operands that are the trailing block arguments of region `index`, in order.}],
      "::mlir::OperandRange", "getRegionInputs", (ins "unsigned":$index)>,
    InterfaceMethod<[{Mutable form of getRegionInputs.}],
      "::mlir::MutableOperandRange", "getRegionInputsMutable", (ins "unsigned":$index)>,
    InterfaceMethod<[{Name of region `index`, as in the assembly: "a", "b", "result", "k", "body" …}],
      "::llvm::StringRef", "getRegionName", (ins "unsigned":$index)>,
    InterfaceMethod<[{Block arguments of region `index` before its inputs: 1 for a result region (the accumulator), else 0.}],
      "unsigned", "getNumLeadingArguments", (ins "unsigned":$index)>
  ];
}

class Kernel_Op<string mnemonic, list<Trait> traits = []>
    : Op<Kernel_Dialect, mnemonic, !listconcat(traits, [Pure, IsolatedFromAbove, SingleBlock,
        DeclareOpInterfaceMethods<Kernel_OpInterface>])> {
  let hasVerifier = 1;
}

def Kernel_YieldOp : Op<Kernel_Dialect, "yield", [Pure, Terminator]> {
  let summary = "Ends a region; its operands are what the region gives";
  let description = [{
    ```mlir
    kernel.yield %a, %1 : tensor<8x4xf32>, tensor<f32>
    ```
  }];
  let arguments = (ins Variadic<LM_AnyTensor>:$values);
  let builders = [OpBuilder<(ins), [{ build($_builder, $_state, ::mlir::ValueRange()); }]>];
  let assemblyFormat = "attr-dict ($values^ `:` type($values))?";
}

def Kernel_GemmOp : Kernel_Op<"gemm", [AttrSizedOperandSegments]> {
  let summary = "C = op(A)·op(B), with regions on operand load and on result";
  let description = [{
    Region `a` yields A [M, K] ([K, M] with `transpose_a`), region `b` yields B [K, N] ([N, K] with `transpose_b`), region `result`
    takes C [M, N] as its first argument and yields the op's results. With `groups = G`, A, B and C are G such matrices below each other,
    and block i of C is block i of op(A) times block i of op(B).

    ```mlir
    %0 = kernel.gemm a(%x) b(%w) result(%r) {transpose_b} : (tensor<8x4xf32>, tensor<6x4xf32>, tensor<8x6xf32>) -> tensor<8x6xf32>
      a { ^bb0(%a: tensor<8x4xf32>): %1 = lm.rms_norm %a {eps = 1.0e-6 : f64} : tensor<8x4xf32>  kernel.yield %1 : tensor<8x4xf32> }
      b { ^bb0(%a: tensor<6x4xf32>): kernel.yield %a : tensor<6x4xf32> }
      result { ^bb0(%c: tensor<8x6xf32>, %a: tensor<8x6xf32>): %1 = lm.add %c, %a : tensor<8x6xf32>  kernel.yield %1 : tensor<8x6xf32> }
    ```
  }];
  let arguments = (ins Variadic<LM_AnyTensor>:$a_inputs, Variadic<LM_AnyTensor>:$b_inputs, Variadic<LM_AnyTensor>:$result_inputs,
                       UnitAttr:$transpose_a, UnitAttr:$transpose_b, DefaultValuedAttr<I64Attr, "1">:$groups);
  let results = (outs Variadic<LM_AnyTensor>:$outputs);
  let regions = (region SizedRegion<1>:$a, SizedRegion<1>:$b, SizedRegion<1>:$result);
  let assemblyFormat = [{
    `a` `(` $a_inputs `)` `b` `(` $b_inputs `)` `result` `(` $result_inputs `)` attr-dict `:` functional-type(operands, results)
    `a` $a `b` $b `result` $result
  }];
  let extraClassDeclaration = [{
    ::mlir::RankedTensorType getAType(); // as yielded by region a
    ::mlir::RankedTensorType getBType(); // as yielded by region b
    int64_t getM(); int64_t getN(); int64_t getK(); // of one group
    int64_t getResultRows() { return getM() * int64_t(getGroups()); }
  }];
}

def Kernel_AttentionOp : Kernel_Op<"attention", [AttrSizedOperandSegments]> {
  let summary = "lm.attention; regions give q, k and v from their inputs and turn the output into the results";
  let description = [{
    A token_shift in region k is a row index in the key load. Region `result` takes the attention output [T, H, d] first. The last
    result is lse [T, H].

    ```mlir
    %o, %lse = kernel.attention q(%q) k(%q) v(%q) result() first(%first) scale(%scale)
      : (tensor<8x2x4xf32>, tensor<8x2x4xf32>, tensor<8x2x4xf32>, tensor<8xi32>, tensor<f32>) -> (tensor<8x2x4xf32>, tensor<8x2xf32>)
      q { ^bb0(%a: tensor<8x2x4xf32>): kernel.yield %a : tensor<8x2x4xf32> }
      k { ^bb0(%a: tensor<8x2x4xf32>): kernel.yield %a : tensor<8x2x4xf32> }
      v { ^bb0(%a: tensor<8x2x4xf32>): kernel.yield %a : tensor<8x2x4xf32> }
      result { ^bb0(%a: tensor<8x2x4xf32>): kernel.yield %a : tensor<8x2x4xf32> }
    ```
  }];
  let arguments = (ins Variadic<LM_AnyTensor>:$q_inputs, Variadic<LM_AnyTensor>:$k_inputs, Variadic<LM_AnyTensor>:$v_inputs,
                       Variadic<LM_AnyTensor>:$result_inputs, LM_IndexVector:$first, LM_Scalar:$scale);
  let results = (outs Variadic<LM_AnyTensor>:$outputs, LM_Tensor:$lse);
  let regions = (region SizedRegion<1>:$q, SizedRegion<1>:$k, SizedRegion<1>:$v, SizedRegion<1>:$result);
  let assemblyFormat = [{
    `q` `(` $q_inputs `)` `k` `(` $k_inputs `)` `v` `(` $v_inputs `)` `result` `(` $result_inputs `)` `first` `(` $first `)` `scale` `(` $scale `)`
    attr-dict `:` functional-type(operands, results) `q` $q `k` $k `v` $v `result` $result
  }];
  let extraClassDeclaration = [{ ::mlir::RankedTensorType getHeadsType(); /* [T, H, d] */ }];
}

def Kernel_AttentionBackwardOp : Kernel_Op<"attention_backward", [AttrSizedOperandSegments]> {
  let summary = "Gradients of what regions q, k and v yield";
  let description = [{
    Regions as in the forward kernel (k's token_shift is again a row index); the gradients are those of the yielded values. `out` and `dout` are the forward
    kernel's output and its gradient, [T, H, d]; or `out` may be the sums Σ out·dout of each token and head, [T, H] in f32, where a kernel before has made them.

    ```mlir
    %dq, %dk, %dv = kernel.attention_backward q(%q) k(%q) v(%q) first(%first) scale(%scale) out(%o, %lse, %o)
      : (tensor<8x2x4xf32>, tensor<8x2x4xf32>, tensor<8x2x4xf32>, tensor<8xi32>, tensor<f32>, tensor<8x2x4xf32>, tensor<8x2xf32>, tensor<8x2x4xf32>) -> (tensor<8x2x4xf32>, tensor<8x2x4xf32>, tensor<8x2x4xf32>)
      q { ^bb0(%a: tensor<8x2x4xf32>): kernel.yield %a : tensor<8x2x4xf32> }
      k { ^bb0(%a: tensor<8x2x4xf32>): kernel.yield %a : tensor<8x2x4xf32> }
      v { ^bb0(%a: tensor<8x2x4xf32>): kernel.yield %a : tensor<8x2x4xf32> }
    ```
  }];
  let arguments = (ins Variadic<LM_AnyTensor>:$q_inputs, Variadic<LM_AnyTensor>:$k_inputs, Variadic<LM_AnyTensor>:$v_inputs,
                       LM_IndexVector:$first, LM_Scalar:$scale, LM_Tensor:$out, LM_Tensor:$lse, LM_Tensor:$dout);
  let results = (outs LM_Tensor:$dq, LM_Tensor:$dk, LM_Tensor:$dv);
  let regions = (region SizedRegion<1>:$q, SizedRegion<1>:$k, SizedRegion<1>:$v);
  let assemblyFormat = [{
    `q` `(` $q_inputs `)` `k` `(` $k_inputs `)` `v` `(` $v_inputs `)` `first` `(` $first `)` `scale` `(` $scale `)` `out` `(` $out `,` $lse `,` $dout `)`
    attr-dict `:` functional-type(operands, results) `q` $q `k` $k `v` $v
  }];
  let extraClassDeclaration = [{ ::mlir::RankedTensorType getHeadsType(); /* [T, H, d] */ }];
}

def Kernel_RowwiseOp : Kernel_Op<"rowwise"> {
  let summary = "Row ops only: element-wise work, row reductions, neighbour rows, gathers";
  let description = [{
    ```mlir
    %0:2 = kernel.rowwise(%dy) : (tensor<8x4xf32>) -> (tensor<8x4xf32>, tensor<f32>) {
      ^bb0(%a: tensor<8x4xf32>):
      %1 = lm.sum %a : tensor<8x4xf32> -> tensor<f32>
      kernel.yield %a, %1 : tensor<8x4xf32>, tensor<f32>
    }
    ```
  }];
  let arguments = (ins Variadic<LM_AnyTensor>:$inputs);
  let results = (outs Variadic<LM_AnyTensor>:$outputs);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "`(` $inputs `)` attr-dict `:` functional-type(operands, results) $body";
}

def Kernel_EmbeddingBackwardOp : Kernel_Op<"embedding_backward", [AttrSizedOperandSegments]> {
  let summary = "lm.embedding_backward with a region that gives dy; tokens in order, so the same bits always";
  let description = [{
    ```mlir
    %1 = kernel.embedding_backward tokens(%tokens) dy(%dy) result() : (tensor<8xi32>, tensor<8x4xf32>) -> tensor<16x4xf32>
      dy { ^bb0(%a: tensor<8x4xf32>): kernel.yield %a : tensor<8x4xf32> }
      result { ^bb0(%a: tensor<16x4xf32>): kernel.yield %a : tensor<16x4xf32> }
    ```
  }];
  let arguments = (ins LM_IndexVector:$tokens, Variadic<LM_AnyTensor>:$dy_inputs, Variadic<LM_AnyTensor>:$result_inputs);
  let results = (outs Variadic<LM_AnyTensor>:$outputs);
  let regions = (region SizedRegion<1>:$dy, SizedRegion<1>:$result);
  let assemblyFormat = "`tokens` `(` $tokens `)` `dy` `(` $dy_inputs `)` `result` `(` $result_inputs `)` attr-dict `:` functional-type(operands, results) `dy` $dy `result` $result";
}

def Kernel_RopeTableOp : Kernel_Op<"rope_table"> {
  let summary = "lm.rope_table: the table of cosines and sines, made in the setup program";
  let description = [{
    ```mlir
    %2 = kernel.rope_table %f : tensor<2xf32> -> tensor<8x4xf32>
    ```
  }];
  let arguments = (ins LM_Tensor:$frequencies);
  let results = (outs LM_Tensor:$table);
  let assemblyFormat = "$frequencies attr-dict `:` type($frequencies) `->` type($table)";
}

def Kernel_ForeachOp : Kernel_Op<"foreach", [AttrSizedOperandSegments]> {
  let summary = "The same element-wise work on many tensors in one launch";
  let description = [{
    A *lane* is one tensor of each *position* (a parameter, its gradient, its moments); all have the same number of elements. A position's
    tensors have one element type; lanes may differ in shape. `inputs` lists the lanes of position 0, then those of position 1 …, `outputs`
    likewise. The region is written for one chunk of a lane, flat, tensor<1xCx…>: first the chunk of each position, then a scalar for each
    row of `constants` (one number per lane), then the `uniforms`, which all lanes share. It yields one chunk per output position. C is
    only the region's: a target takes as many elements at a time as suits it. `what` is for people.

    ```mlir
    %3:2 = kernel.foreach "decay" lanes 2 (%p, %p) uniforms (%s) constants [#lm.numbers<0.5, 2.0>] : (tensor<16xf32>, tensor<16xf32>, tensor<f32>) -> (tensor<16xf32>, tensor<16xf32>) {
      ^bb0(%a: tensor<1x8xf32>, %c: tensor<f32>, %u: tensor<f32>):
      %4 = lm.mix %a by %c : (tensor<1x8xf32>, tensor<f32>) -> tensor<1x8xf32>
      %5 = lm.scale %4, %u : tensor<1x8xf32>, tensor<f32>
      kernel.yield %5 : tensor<1x8xf32>
    }
    ```
  }];
  let arguments = (ins StrAttr:$what, I64Attr:$lanes, Variadic<LM_AnyTensor>:$inputs, Variadic<LM_Scalar>:$uniforms,
                       ArrayAttr:$constants);
  let results = (outs Variadic<LM_AnyTensor>:$outputs);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    $what `lanes` $lanes `(` $inputs `)` `uniforms` `(` $uniforms `)` `constants` $constants attr-dict
    `:` functional-type(operands, results) $body
  }];
  let extraClassDeclaration = [{
    unsigned getPositions() { return getInputs().size() / getLanes(); }
    unsigned getOutputPositions() { return getOutputs().size() / getLanes(); }
    int64_t getLaneElements(unsigned lane); // of each of its tensors
    int64_t getChunk();                     // elements that the region is written for
  }];
}
#endif
