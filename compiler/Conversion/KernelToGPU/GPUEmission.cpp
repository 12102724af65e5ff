//===- GPUEmission.cpp - Functions, parameters and workspace of a kernel --===//
#include "compiler/Conversion/KernelToGPU/GPUEmission.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace smelt {

GPUEmission::GPUEmission(ModuleOp module, func::FuncOp source, Operation *kernel,
                         const GPUTarget &target, ArrayRef<int64_t> alignments,
                         const GPUEmission *before)
    : module(module), source(source), kernel(kernel), target(target), alignments(alignments) {
  workspaceArgument = source.getNumArguments() + source.getNumResults();
  if (before) {
    workspaceBytes = before->workspaceBytes;
    symbols = before->symbols;
  }
}

uint32_t GPUEmission::getArgument(Value value) const {
  if (auto argument = dyn_cast<BlockArgument>(value))
    return argument.getArgNumber();
  Operation *terminator = source.getBody().front().getTerminator();
  for (auto [i, returned] : llvm::enumerate(terminator->getOperands()))
    if (returned == value)
      return source.getNumArguments() + i;
  llvm_unreachable("neither an operand nor a result of the kernel");
}

int64_t GPUEmission::getAlignment(uint32_t argument) const {
  return argument < alignments.size() ? alignments[argument] : 16;
}

int64_t GPUEmission::allocateWorkspace(int64_t bytes) {
  int64_t offset = workspaceBytes;
  workspaceBytes += llvm::alignTo(std::max<int64_t>(bytes, 1), 256);
  return offset;
}

std::string GPUEmission::makeSymbol() {
  std::string symbol = "smelt_" + source.getSymName().str();
  return symbols++ ? symbol + "_" + std::to_string(symbols - 1) : symbol;
}

GPUFunction::GPUFunction(GPUEmission &emission, StringRef role, int64_t threads)
    : emission(emission), b(emission.getKernel()->getLoc(), emission.getModule().getContext()) {
  launch.symbol = emission.makeSymbol();
  launch.role = role.str();
  launch.threads = threads;
  b.setInsertionPointToEnd(emission.getModule().getBody());
  auto type = LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(b.getContext()), {});
  function = LLVM::LLVMFuncOp::create(b, launch.symbol, type);
  function->setAttr(NVVM::NVVMDialect::getKernelFuncAttrName(), b.getUnitAttr());
  function.setTargetCpu(emission.getTarget().chip);
  function->setAttr(NVVM::NVVMDialect::getReqntidAttrName(),
                    b.getDenseI32ArrayAttr({static_cast<int32_t>(threads)}));
  b.setInsertionPointToStart(function.addEntryBlock(b));
}

Value GPUFunction::addParameter(GPUParameter parameter, Type type,
                                ArrayRef<NamedAttribute> attributes) {
  launch.parameters.push_back(std::move(parameter));
  // Not insertArgument: it fails for functions without a result.
  Value argument = function.getBody().front().addArgument(type, b.getLoc());
  SmallVector<Type> types(function.getBody().front().getArgumentTypes());
  function.setFunctionType(
      LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(b.getContext()), types));
  SmallVector<Attribute> all;
  if (ArrayAttr known = function.getArgAttrsAttr())
    all = llvm::to_vector(known);
  all.resize(types.size() - 1, b.getDictionaryAttr({}));
  all.push_back(b.getDictionaryAttr(attributes));
  function.setArgAttrsAttr(b.getArrayAttr(all));
  return argument;
}

Value GPUFunction::getPointer(uint32_t argument, int64_t byteOffset) {
  for (auto [i, known] : llvm::enumerate(launch.parameters))
    if (known.kind == GPUParameter::Kind::Pointer && known.arguments[0] == argument &&
        known.byteOffset == byteOffset)
      return function.getArgument(i);
  return addParameter({GPUParameter::Kind::Pointer, {argument}, byteOffset, {}},
                      LLVM::LLVMPointerType::get(b.getContext(), 1));
}

/// Bytes passed by value, read in place: no local copy.
static SmallVector<NamedAttribute> byValue(ImplicitLocOpBuilder &b, Type type, int64_t alignment) {
  return {b.getNamedAttr(LLVM::LLVMDialect::getByValAttrName(), TypeAttr::get(type)),
          b.getNamedAttr(LLVM::LLVMDialect::getAlignAttrName(), b.getI64IntegerAttr(alignment)),
          b.getNamedAttr(NVVM::NVVMDialect::getGridConstantAttrName(), b.getUnitAttr())};
}

Value GPUFunction::addPointerTable(ArrayRef<uint32_t> arguments) {
  Type array = LLVM::LLVMArrayType::get(LLVM::LLVMPointerType::get(b.getContext()),
                                        arguments.size());
  return addParameter(
      {GPUParameter::Kind::PointerTable, {arguments.begin(), arguments.end()}, 0, {}},
      LLVM::LLVMPointerType::get(b.getContext()), byValue(b, array, 8));
}

Value GPUFunction::addTensorMap(uint32_t argument, const GPUTensorMap &map, int64_t byteOffset) {
  Type array = LLVM::LLVMArrayType::get(b.getI8Type(), 128);
  return addParameter({GPUParameter::Kind::TensorMap, {argument}, byteOffset, map},
                      LLVM::LLVMPointerType::get(b.getContext()), byValue(b, array, 64));
}

static LLVM::GlobalOp makeShared(ImplicitLocOpBuilder &b, ModuleOp module, StringRef name,
                                 int64_t bytes, int64_t alignment, LLVM::Linkage linkage) {
  if (auto existing = module.lookupSymbol<LLVM::GlobalOp>(name))
    return existing;
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(module.getBody());
  return LLVM::GlobalOp::create(b, LLVM::LLVMArrayType::get(b.getI8Type(), bytes),
                                /*isConstant=*/false, linkage, name, Attribute(), alignment,
                                /*addrSpace=*/3);
}

Value GPUFunction::allocateShared(int64_t bytes, int64_t alignment) {
  std::string name = launch.symbol + "_shared" + std::to_string(sharedBlocks++);
  launch.staticSharedBytes += llvm::alignTo(bytes, alignment);
  LLVM::GlobalOp global =
      makeShared(b, emission.getModule(), name, bytes, alignment, LLVM::Linkage::Internal);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(&function.getBody().front());
  return LLVM::AddressOfOp::create(b, global);
}

Value GPUFunction::allocateCounter() {
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(emission.getModule().getBody());
  auto global = LLVM::GlobalOp::create(b, b.getI32Type(), /*isConstant=*/false,
                                       LLVM::Linkage::Internal, launch.symbol + "_counter",
                                       b.getI32IntegerAttr(0), /*alignment=*/4, /*addrSpace=*/1);
  b.setInsertionPointToStart(&function.getBody().front());
  return LLVM::AddressOfOp::create(b, global);
}

Value GPUFunction::addTable(ArrayRef<int32_t> numbers) {
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(emission.getModule().getBody());
  auto values = DenseElementsAttr::get(
      RankedTensorType::get({int64_t(numbers.size())}, b.getI32Type()), numbers);
  auto global = LLVM::GlobalOp::create(
      b, LLVM::LLVMArrayType::get(b.getI32Type(), numbers.size()), /*isConstant=*/true,
      LLVM::Linkage::Internal, launch.symbol + "_table" + std::to_string(tables++), values,
      /*alignment=*/16, /*addrSpace=*/1);
  b.setInsertionPointToStart(&function.getBody().front());
  return LLVM::AddressOfOp::create(b, global);
}

Value GPUFunction::getDynamicShared() {
  LLVM::GlobalOp global = makeShared(b, emission.getModule(), "smelt_dynamic_shared", 0, 1024,
                                     LLVM::Linkage::External);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(&function.getBody().front());
  return LLVM::AddressOfOp::create(b, global);
}

void GPUFunction::finish(std::array<int64_t, 3> grid, int64_t dynamicSharedBytes,
                         int64_t cluster) {
  LLVM::ReturnOp::create(b, ValueRange());
  launch.grid = grid;
  launch.sharedBytes = dynamicSharedBytes;
  launch.cluster = cluster;
  if (cluster > 1)
    function->setAttr(NVVM::NVVMDialect::getClusterDimAttrName(),
                      b.getDenseI32ArrayAttr({static_cast<int32_t>(cluster), 1, 1}));
  emission.addLaunch(std::move(launch));
}

} // namespace smelt
