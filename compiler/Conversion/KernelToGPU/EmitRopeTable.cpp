//===- EmitRopeTable.cpp - kernel.rope_table ------------------------------===//
//
// A thread an angle, in double: reduced by multiples of π/2 in two steps with fused multiplications
// (exact far beyond any position), then the polynomials of fdlibm's k_sin.c and k_cos.c.
//
//===----------------------------------------------------------------------===//
#include "compiler/Conversion/KernelToGPU/EmitKernels.h"
#include "compiler/Conversion/KernelToGPU/GPUBuilder.h"

using namespace mlir;

namespace smelt {
namespace {

struct Doubles {
  ImplicitLocOpBuilder &b;
  Value number(double value) { return arith::ConstantOp::create(b, b.getF64FloatAttr(value)); }
  Value mul(Value x, Value y) { return arith::MulFOp::create(b, x, y); }
  Value fma(Value x, Value y, Value z) { return LLVM::FMAOp::create(b, x, y, z); }
  Value polynomial(Value x, ArrayRef<double> highestFirst) {
    Value sum = number(highestFirst[0]);
    for (double c : highestFirst.drop_front())
      sum = fma(sum, x, number(c));
    return sum;
  }
};

} // namespace

LogicalResult emitGeneric(kernel::RopeTableOp op, GPUEmission &emission) {
  auto type = cast<RankedTensorType>(op.getTable().getType());
  int64_t tokens = type.getDimSize(0), width = type.getDimSize(1), count = width / 2;
  Type element = type.getElementType(),
       frequencyType = cast<RankedTensorType>(op.getFrequencies().getType()).getElementType();
  GPUFunction function(emission, "rope table", 256);
  ImplicitLocOpBuilder &b = function.builder();
  GPUBuilder g(b);
  Doubles d{b};
  Value frequencies = function.getPointer(op.getFrequencies()),
        table = function.getPointer(op.getTable());
  Value index = g.add(g.mul(g.block(), 256), g.thread());
  g.when(g.less(index, tokens * count), [&] {
    Value token = g.div(index, count), j = g.rem(index, count);
    Value stored = g.loadNumbers(g.offset(frequencies, frequencyType, j), frequencyType, 1, true)[0];
    Value frequency = arith::ExtFOp::create(b, b.getF64Type(), stored);
    Value angle = d.mul(arith::SIToFPOp::create(b, b.getF64Type(), token), frequency);
    Value turns = LLVM::RintOp::create(b, d.mul(angle, d.number(0.63661977236758134308)));
    Value minus = arith::NegFOp::create(b, turns);
    Value r = d.fma(minus, d.number(1.57079632679489655800), angle);
    r = d.fma(minus, d.number(6.12323399573676603587e-17), r);
    Value z = d.mul(r, r);
    Value sine = d.polynomial(z, {1.58969099521155010221e-10, -2.50507602534068634195e-08,
                                  2.75573137070700676789e-06, -1.98412698298579493134e-04,
                                  8.33333333332248946124e-03, -1.66666666666666324348e-01});
    sine = d.fma(d.mul(z, r), sine, r);
    Value cosine = d.polynomial(z, {-1.13596475577881948265e-11, 2.08757232129817482790e-09,
                                    -2.75573143513906633035e-07, 2.48015872894767294178e-05,
                                    -1.38888888888741095749e-03, 4.16666666666666019037e-02});
    cosine = d.fma(d.mul(z, z), cosine, d.fma(z, d.number(-0.5), d.number(1)));
    // Quarter turns swap the two and change signs.
    Value quarter = g.both(arith::FPToSIOp::create(b, g.i32(), turns), g.integer(3));
    Value odd = g.equal(g.both(quarter, g.integer(1)), 1);
    Value sineNegative = g.atLeast(quarter, 2);
    Value cosineNegative = g.either(g.equal(quarter, 1), g.equal(quarter, 2));
    auto finish = [&](Value even, Value swapped, Value negative) {
      Value value = g.select(odd, swapped, even);
      Value minusValue = arith::NegFOp::create(b, value);
      Value rounded = arith::TruncFOp::create(b, g.f32(), g.select(negative, minusValue, value));
      return rounded;
    };
    Value row = g.offset(table, element, g.mul(g.widen(token), g.integer64(width)));
    g.storeNumbers({finish(cosine, sine, cosineNegative)}, g.offset(row, element, j), element, true);
    g.storeNumbers({finish(sine, cosine, sineNegative)},
                   g.offset(row, element, g.add(j, count)), element, true);
  });
  int64_t blocks = llvm::divideCeil(tokens * count, 256);
  function.finish({blocks, 1, 1});
  return success();
}

} // namespace smelt
