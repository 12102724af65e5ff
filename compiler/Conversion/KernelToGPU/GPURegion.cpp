//===- GPURegion.cpp - Operand and result regions of generic kernels ------===//
#include "compiler/Conversion/KernelToGPU/GPURegion.h"

using namespace mlir;

namespace smelt {

GPUOperandRegion::GPUOperandRegion(kernel::KernelOpInterface op, unsigned index)
    : op(op), index(index), program(op->getRegion(index)) {
  direct = program.isChunkwise();
}

std::string GPUOperandRegion::whyNot() const {
  if (!program.whyNot().empty())
    return program.whyNot().str();
  if (program.getTerminator()->getNumOperands() != 1 || program.hasTotalResults())
    return "an operand region must yield one tensor of rows";
  return {};
}

int64_t GPUOperandRegion::getFeatures() const {
  return program.getFeatures(program.getTerminator()->getOperand(0));
}

void GPUOperandRegion::prepare(GPUEmission &emission) {
  if (direct)
    return;
  Value yielded = program.getTerminator()->getOperand(0);
  stored = makeWorkspaceRows(emission, program, yielded, Float32Type::get(op->getContext()));
  SmallVector<GPURowBuffer> inputs;
  for (auto [argument, input] :
       llvm::zip(program.getBlock().getArguments(), op.getRegionInputs(index)))
    inputs.push_back(makeRowBuffer(emission, program, argument, input));
  emitRowLaunches(emission, program, inputs, stored, ("operand " + op.getRegionName(index)).str());
}

void GPUOperandRegion::bind(GPUFunction &into) {
  function = &into;
  if (!direct) {
    sources = {makeSource(into, stored)};
    return;
  }
  sources.clear();
  for (auto [argument, input] :
       llvm::zip(program.getBlock().getArguments(), op.getRegionInputs(index)))
    sources.push_back(argument.use_empty()
                          ? GPURowSource()
                          : makeSource(into, makeRowBuffer(into.getEmission(), program, argument,
                                                           input)));
  emitter = std::make_unique<GPURowEmitter>(program, into.builder(), GPURowGroup(), sources,
                                            ArrayRef<GPURowSink>());
}

void GPUOperandRegion::start() {
  if (emitter)
    emitter->startRow();
}

SmallVector<Value> GPUOperandRegion::get(Value row, const GPUChunk &chunk) {
  if (emitter)
    return emitter->get(program.getTerminator()->getOperand(0), row, chunk);
  GPUBuilder g(function->builder());
  const GPURowSource &source = sources[0];
  Value base = g.offset(source.pointer, source.element,
                        g.mul(g.widen(row), g.integer64(source.stride)));
  Value first = chunk.dynamic ? g.add(chunk.dynamic, chunk.offset) : g.integer(chunk.offset);
  return g.loadNumbers(g.offset(base, source.element, first), source.element, chunk.count,
                       source.stride % chunk.count == 0 && source.alignment % (4 * chunk.count) == 0);
}

GPUResultRegion::GPUResultRegion(kernel::KernelOpInterface op, unsigned index, ValueRange outputs)
    : op(op), index(index), outputs(outputs.begin(), outputs.end()),
      program(op->getRegion(index)) {
  elementwise = program.isElementwiseIn(0) && !program.hasTotalResults();
  Value accumulator = program.getBlock().getArgument(0);
  for (Value value : program.getTerminator()->getOperands())
    elementwise &= program.getFeatures(value) == program.getFeatures(accumulator);
}

void GPUResultRegion::prepare(GPUEmission &emission) {
  auto inputsOf = op.getRegionInputs(index);
  for (auto [argument, input] :
       llvm::zip(program.getBlock().getArguments().drop_front(), inputsOf))
    inputs.push_back(makeRowBuffer(emission, program, argument, input));
  for (auto [value, output] : llvm::zip(program.getTerminator()->getOperands(), outputs))
    results.push_back(makeRowBuffer(emission, program, value, output));
  if (!elementwise)
    raw = makeWorkspaceRows(emission, program, program.getBlock().getArgument(0),
                            Float32Type::get(op->getContext()));
}

const GPURowBuffer &GPUResultRegion::prepareWhole(GPUEmission &emission) {
  elementwise = false;
  prepare(emission);
  return raw;
}

void GPUResultRegion::bind(GPUFunction &into) {
  function = &into;
  if (!elementwise) {
    rawSink = makeSink(into, raw);
    return;
  }
  SmallVector<GPURowSource> sources(1);
  sources[0].load = [this](Value, const GPUChunk &) { return current; };
  for (auto [i, buffer] : llvm::enumerate(inputs))
    sources.push_back(program.getBlock().getArgument(i + 1).use_empty() ? GPURowSource()
                                                                        : makeSource(into, buffer));
  SmallVector<GPURowSink> sinks;
  for (const GPURowBuffer &buffer : results)
    sinks.push_back(makeSink(into, buffer));
  emitter = std::make_unique<GPURowEmitter>(program, into.builder(), GPURowGroup(), sources, sinks);
}

void GPUResultRegion::storeElements(Value row, const GPUChunk &chunk, ArrayRef<Value> values) {
  if (elementwise) {
    current.assign(values.begin(), values.end());
    emitter->startRow();
    emitter->storeChunk(row, chunk);
    return;
  }
  GPUBuilder g(function->builder());
  Value base = g.offset(rawSink.pointer, rawSink.element,
                        g.mul(g.widen(row), g.integer64(rawSink.stride)));
  Value first = chunk.dynamic ? g.add(chunk.dynamic, chunk.offset) : g.integer(chunk.offset);
  g.storeNumbers(values, g.offset(base, rawSink.element, first), rawSink.element,
                 rawSink.stride % chunk.count == 0);
}

void GPUResultRegion::finish(GPUEmission &emission) {
  if (elementwise)
    return;
  SmallVector<GPURowBuffer> sources{raw};
  sources.append(inputs.begin(), inputs.end());
  emitRowLaunches(emission, program, sources, results, "result");
}

} // namespace smelt
