//===- LMNumbers.td - A list of numbers that prints exactly ---------------===//
#ifndef SMELT_LM_NUMBERS
#define SMELT_LM_NUMBERS

include "dialects/LM/LMBase.td"

def LM_NumbersAttr : AttrDef<LM_Dialect, "Numbers"> {
  let mnemonic = "numbers";
  let summary = "A list of f64 whose text has every bit";
  let description = [{
    `array<f64: …>` prints seven digits, so that a module read from its own dump has other numbers. This prints each with as few digits as
    bring the same f64 back, what is not finite as its bits: `#lm.numbers<1.0, 0.30000000000000004, 2.5e-10, 0x7FF0000000000000>`.
    Two lists are one attribute if all their bits are the same (0.0 is not -0.0).
  }];
  let parameters = (ins "::mlir::DenseF64ArrayAttr":$values);
  let skipDefaultBuilders = 1;
  let builders = [AttrBuilder<(ins "::llvm::ArrayRef<double>":$values), [{
    return $_get($_ctxt, ::mlir::DenseF64ArrayAttr::get($_ctxt, values));
  }]>];
  let hasCustomAssemblyFormat = 1;
  let extraClassDeclaration = [{
    ::llvm::ArrayRef<double> asArrayRef() const { return getValues().asArrayRef(); }
    int64_t size() const { return getValues().size(); }
    double operator[](size_t i) const { return asArrayRef()[i]; }
  }];
}
#endif
