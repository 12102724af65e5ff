//===- KernelFunction.cpp - ABI, parallel regions, loops --------------------===//
#include "compiler/Conversion/KernelToCPU/KernelFunction.h"
#include "dialects/Kernel/KernelOps.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/OpenMP/OpenMPDialect.h"

using namespace mlir;

namespace smelt {

KernelFunction::KernelFunction(ModuleOp module, func::FuncOp source, Operation *kernel,
                               const CPUTarget &target, int64_t workspaceBytes)
    : module(module), target(target), b(kernel->getLoc(), module.getContext()) {
  b.setInsertionPointToEnd(module.getBody());
  auto pointer = LLVM::LLVMPointerType::get(b.getContext());
  auto function = func::FuncOp::create(b, ("smelt_" + source.getSymName()).str(),
                                       b.getFunctionType({pointer}, {}));
  entry = function.addEntryBlock();
  b.setInsertionPointToStart(entry);
  int64_t slot = 0;
  for (BlockArgument argument : source.getArguments())
    slots.try_emplace(argument, slot++);
  for (Value result : source.getBody().front().getTerminator()->getOperands())
    slots.try_emplace(result, slot++);
  // A kernel.foreach may have hundreds of buffers, and finds them at run time.
  if (!isa<kernel::ForeachOp>(kernel)) {
    for (BlockArgument argument : source.getArguments())
      getMemory(argument);
    for (Value result : source.getBody().front().getTerminator()->getOperands())
      getMemory(result);
  }
  if (workspaceBytes > 0)
    workspace = loadPointer(slot);
}

Value KernelFunction::loadPointer(int64_t slot) {
  auto pointer = LLVM::LLVMPointerType::get(b.getContext());
  Value address = LLVM::GEPOp::create(b, pointer, pointer, entry->getArgument(0),
                                      ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(slot)});
  return LLVM::LoadOp::create(b, pointer, address);
}

void KernelFunction::finish() { func::ReturnOp::create(b); }

Value KernelFunction::createMemory(Value pointer, int64_t elements, Type elementType) {
  // The descriptor of a memref<elements x type>, as the conversion to llvm lays it out.
  auto pointerType = pointer.getType();
  auto i64 = b.getI64Type();
  auto array = LLVM::LLVMArrayType::get(i64, 1);
  auto type = LLVM::LLVMStructType::getLiteral(b.getContext(),
                                               {pointerType, pointerType, i64, array, array});
  Value descriptor = LLVM::UndefOp::create(b, type);
  auto insert = [&](Value value, ArrayRef<int64_t> position) {
    descriptor = LLVM::InsertValueOp::create(b, descriptor, value, position);
  };
  auto constant = [&](int64_t value) -> Value {
    return LLVM::ConstantOp::create(b, i64, b.getI64IntegerAttr(value));
  };
  insert(pointer, 0);
  insert(pointer, 1);
  insert(constant(0), 2);
  insert(constant(ShapedType::isDynamic(elements) ? INT64_MAX : elements), {3, 0});
  insert(constant(1), {4, 0});
  return UnrealizedConversionCastOp::create(b, MemRefType::get({elements}, elementType), descriptor)
      .getResult(0);
}

Value KernelFunction::getMemory(Value tensor) {
  Value &buffer = memory[tensor];
  if (buffer)
    return buffer;
  assert(slots.count(tensor) && "not an argument or result of the outlined kernel");
  OpBuilder::InsertionGuard guard(b);
  if (b.getInsertionBlock() != entry)
    b.setInsertionPointToStart(entry);
  auto type = cast<RankedTensorType>(tensor.getType());
  buffer = createMemory(loadPointer(getSlot(tensor)), type.getNumElements(), type.getElementType());
  return buffer;
}

Value KernelFunction::getMemoryOfSlot(Value slot, Type elementType) {
  auto pointer = LLVM::LLVMPointerType::get(b.getContext());
  Value place = arith::IndexCastOp::create(b, b.getI64Type(), slot);
  Value address = LLVM::GEPOp::create(b, pointer, pointer, entry->getArgument(0),
                                      ArrayRef<LLVM::GEPArg>{place});
  return createMemory(LLVM::LoadOp::create(b, pointer, address), ShapedType::kDynamic, elementType);
}

Value KernelFunction::getConstantTable(DenseElementsAttr values) {
  auto type = cast<RankedTensorType>(values.getType());
  auto flat = MemRefType::get({type.getNumElements()}, type.getElementType());
  std::string name;
  for (unsigned i = 0; name.empty() || module.lookupSymbol(name); ++i)
    name = "smelt_table_" + std::to_string(i);
  OpBuilder atModule = OpBuilder::atBlockBegin(module.getBody());
  memref::GlobalOp::create(atModule, b.getLoc(), name, atModule.getStringAttr("private"), flat,
                           values, /*constant=*/true, /*alignment=*/IntegerAttr());
  return memref::GetGlobalOp::create(b, flat, name);
}

Value KernelFunction::getWorkspace(int64_t byteOffset, int64_t elements, Type elementType) {
  assert(workspace && byteOffset % 64 == 0);
  // A value, because constant indices of the op hold no more than 28 bits and a sign.
  Value offset = LLVM::ConstantOp::create(b, b.getI64Type(), b.getI64IntegerAttr(byteOffset));
  Value address = LLVM::GEPOp::create(b, workspace.getType(), b.getI8Type(), workspace,
                                      ArrayRef<LLVM::GEPArg>{offset});
  return createMemory(address, elements, elementType);
}

func::FuncOp KernelFunction::declareThreadQuery(StringRef name) {
  if (auto existing = module.lookupSymbol<func::FuncOp>(name))
    return existing;
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(module.getBody());
  auto function = func::FuncOp::create(b, name, b.getFunctionType({}, {b.getI32Type()}));
  function.setPrivate();
  return function;
}

void KernelFunction::emitParallel(int64_t maxThreads, llvm::function_ref<void(Value)> body) {
  func::FuncOp getMaxThreads = declareThreadQuery("omp_get_max_threads"),
               getThread = declareThreadQuery("omp_get_thread_num");
  Value wanted = func::CallOp::create(b, getMaxThreads, ValueRange{}).getResult(0);
  Value limit = arith::ConstantOp::create(b, b.getI32IntegerAttr(maxThreads));
  omp::ParallelOperands clauses;
  clauses.numThreads = arith::MinSIOp::create(b, wanted, limit);
  auto parallel = omp::ParallelOp::create(b, clauses);
  OpBuilder::InsertionGuard guard(b);
  b.createBlock(&parallel.getRegion());
  Value thread = func::CallOp::create(b, getThread, ValueRange{}).getResult(0);
  body(arith::IndexCastOp::create(b, b.getIndexType(), thread));
  omp::TerminatorOp::create(b);
}

void KernelFunction::emitSharedLoop(int64_t begin, int64_t end, int64_t step,
                                    llvm::function_ref<void(Value)> body) {
  omp::LoopNestOperands bounds;
  bounds.loopLowerBounds = {index(begin)};
  bounds.loopUpperBounds = {index(end)};
  bounds.loopSteps = {index(step)};
  auto shared = omp::WsloopOp::create(b, omp::WsloopOperands{});
  OpBuilder::InsertionGuard guard(b);
  b.createBlock(&shared.getRegion());
  auto nest = omp::LoopNestOp::create(b, bounds);
  Block *block = b.createBlock(&nest.getRegion(), {}, {b.getIndexType()}, {b.getLoc()});
  body(block->getArgument(0));
  omp::YieldOp::create(b);
}

void KernelFunction::emitLoop(Value begin, Value end, int64_t step,
                              llvm::function_ref<void(Value)> body) {
  auto loop = scf::ForOp::create(b, begin, end, index(step));
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  body(loop.getInductionVar());
}

void KernelFunction::emitLoop(int64_t begin, int64_t end, int64_t step,
                              llvm::function_ref<void(Value)> body) {
  emitLoop(index(begin), index(end), step, body);
}

Value KernelFunction::index(int64_t value) { return arith::ConstantIndexOp::create(b, value); }

Value KernelFunction::add(Value a, int64_t value) {
  return value == 0 ? a : arith::AddIOp::create(b, a, index(value)).getResult();
}
Value KernelFunction::add(Value a, Value other) { return arith::AddIOp::create(b, a, other); }
Value KernelFunction::mul(Value a, int64_t value) {
  return value == 1 ? a : arith::MulIOp::create(b, a, index(value)).getResult();
}

} // namespace smelt
