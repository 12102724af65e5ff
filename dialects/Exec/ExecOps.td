//===- ExecOps.td - Operations of the exec dialect -----------------------===//
#ifndef SMELT_EXEC_OPS
#define SMELT_EXEC_OPS

include "dialects/LM/LMTypes.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Exec_Dialect : Dialect {
  let name = "exec";
  let cppNamespace = "::mlir::exec";
  let useDefaultAttributePrinterParser = 1;
  let summary = "The step as data: buffers at fixed offsets, programs, launches";
  let description = [{
    One arena holds every buffer. Parameters, state, gradients, settings, inputs and outputs keep their place for the whole run; workspace
    buffers share memory when their lifetimes do not overlap. A program is a list of launches in order; kernels are the private functions
    of the module.
  }];
}

class Exec_Op<string mnemonic, list<Trait> traits = []> : Op<Exec_Dialect, mnemonic, traits>;

def Exec_BufferKind : I32EnumAttr<"BufferKind", "What a buffer holds", [
  I32EnumAttrCase<"parameter", 0>, I32EnumAttrCase<"state", 1>, I32EnumAttrCase<"gradient", 2>, I32EnumAttrCase<"setting", 3>,
  I32EnumAttrCase<"input", 4>, I32EnumAttrCase<"output", 5>, I32EnumAttrCase<"constant", 6>, I32EnumAttrCase<"workspace", 7>]> {
  let cppNamespace = "::mlir::exec";
  let genSpecializedAttr = 0;
}
def Exec_BufferKindAttr : EnumAttr<Exec_Dialect, Exec_BufferKind, "buffer_kind">;

def Exec_ArenaOp : Exec_Op<"arena"> {
  let summary = "Size of the one allocation, in bytes";
  let description = [{
    ```mlir
    exec.arena 1024
    ```
  }];
  let arguments = (ins I64Attr:$bytes);
  let assemblyFormat = "$bytes attr-dict";
}

def Exec_BufferOp : Exec_Op<"buffer", [Symbol, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "A range of the arena";
  let description = [{
    `offset` and `bytes` in bytes, offset a multiple of 64. `value` gives the contents of a constant. A buffer with a `base` is a range of
    that one (rows of a matrix that is updated block by block), lies inside it and begins at any of its elements. `init` is a
    parameter's: "constant", "uniform" or "normal", with `init_value` as in lm.parameter. A state with `copy_of` begins as that
    parameter's initial value; one with `part_names` is this rank's part of other tensors, as in train.state.

    With `rank_stride` the range is rank r's part of its base: at `offset` + r · `rank_stride`. The base is as many strides as there are ranks.

    ```mlir
    exec.buffer parameter @w : tensor<4x16xf32> at 0 bytes 256 init "uniform" 0.5
    exec.buffer workspace @w.rows1 : tensor<1x16xf32> at 64 bytes 64 in @w
    exec.buffer workspace @w.part : tensor<2x16xf32> at 0 bytes 128 in @w {rank_stride = 128 : i64}
    exec.buffer state @outer.w : tensor<4x16xf32> at 512 bytes 256 {copy_of = @w}
    exec.buffer constant @c : tensor<2xf32> at 256 bytes 64 value dense<[1.0, 2.0]> : tensor<2xf32>
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, Exec_BufferKindAttr:$kind, TypeAttr:$type, I64Attr:$offset, I64Attr:$bytes,
                       OptionalAttr<ElementsAttr>:$value, OptionalAttr<FlatSymbolRefAttr>:$base,
                       OptionalAttr<StrAttr>:$init, OptionalAttr<F64Attr>:$init_value, OptionalAttr<FlatSymbolRefAttr>:$copy_of,
                       OptionalAttr<I64Attr>:$rank_stride, OptionalAttr<StrArrayAttr>:$part_names, OptionalAttr<DenseI64ArrayAttr>:$part_rows);
  let assemblyFormat = "$kind $sym_name `:` $type `at` $offset `bytes` $bytes (`value` $value^)? (`in` $base^)? (`init` $init^ $init_value)? attr-dict";
  let hasVerifier = 1;
}

def Exec_ProgramOp : Exec_Op<"program", [Symbol, SingleBlock, NoTerminator, IsolatedFromAbove]> {
  let summary = "Launches in order";
  let description = [{
    `inputs` and `outputs` map the runtime's names (tokens, targets, document_start; objective, loss_sum, logits) to buffers. A program
    of role update runs after the steps s (from 0) with s mod `every` = `offset`, in the order of the module.

    ```mlir
    exec.program @train.T8 "train" tokens 8 inputs {tokens = @tokens} outputs {objective = @loss} {
      exec.launch @k reads [@w, @tokens] writes [@loss] workspace @scratch {label = "a", flops = 1 : i64, bytes = 2 : i64, smelt.steps = ["forward[0]"]}
    }
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, StrAttr:$role, I64Attr:$tokens, DictionaryAttr:$inputs, DictionaryAttr:$outputs,
                       DefaultValuedAttr<I64Attr, "1">:$every, DefaultValuedAttr<I64Attr, "0">:$offset);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "$sym_name $role `tokens` $tokens `inputs` $inputs `outputs` $outputs attr-dict-with-keyword $body";
  let hasVerifier = 1;
}

def Exec_LaunchOp : Exec_Op<"launch", [DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "One kernel on buffers: the kernel's operands, then its results, then its workspace";
  let description = [{
    ```mlir
    exec.launch @k reads [@w, @tokens] writes [@loss] workspace @scratch {label = "a", flops = 1 : i64, bytes = 2 : i64, smelt.steps = ["forward[0]"]}
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$kernel, ArrayAttr:$reads, ArrayAttr:$writes, OptionalAttr<FlatSymbolRefAttr>:$workspace,
                       StrAttr:$label, I64Attr:$flops, I64Attr:$bytes);
  let assemblyFormat = "$kernel `reads` $reads `writes` $writes (`workspace` $workspace^)? attr-dict";
}
#endif
