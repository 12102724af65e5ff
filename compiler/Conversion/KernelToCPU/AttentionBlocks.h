//===- AttentionBlocks.h - Blocks of rows and their products ----*- C++ -*-===//
//
// What attention forward and backward share: blocks of 64 rows of one head in a thread's scratch,
// their transposes, products of blocks in registers, and exponentials.
//
//===----------------------------------------------------------------------===//
#ifndef SMELT_COMPILER_CONVERSION_KERNELTOCPU_ATTENTIONBLOCKS_H
#define SMELT_COMPILER_CONVERSION_KERNELTOCPU_ATTENTIONBLOCKS_H

#include "compiler/Conversion/KernelToCPU/KernelFunction.h"
#include "compiler/Conversion/KernelToCPU/RowEmitter.h"

namespace smelt {

/// Rows of queries or keys in a block; a multiple of every vector length and of the register tile.
inline constexpr int64_t kAttentionBlock = 64;

struct AttentionShape {
  int64_t tokens, heads, width;
  explicit AttentionShape(mlir::RankedTensorType type)
      : tokens(type.getDimSize(0)), heads(type.getDimSize(1)), width(type.getDimSize(2)) {}
  int64_t blocks() const { return (tokens + kAttentionBlock - 1) / kAttentionBlock; }
  int64_t paddedTokens() const { return blocks() * kAttentionBlock; }
};

/// How a product treats what is in C.
enum class Accumulate { Overwrite, Add, ScaleAndAdd };

class AttentionBlocks {
public:
  AttentionBlocks(KernelFunction &function, AttentionShape shape);

  /// Floats of a scratch row of one head: whole vectors.
  int64_t getStride() const { return stride; }
  mlir::Value allocate(int64_t floats);
  mlir::Value allocateRows() { return allocate(kAttentionBlock * stride); }

  /// The iteration's block of `blocks`, such that any contiguous share of the iterations has early
  /// and late ones: a causal triangle's rows are short and long.
  mlir::Value spread(mlir::Value iteration, int64_t blocks);
  /// min(row, tokens − 1): rows past the end are read as the last row, and masked.
  mlir::Value clampRow(mlir::Value row);

  /// An emitter of a region that yields q, k or v; its rows go to where packRows says. Construct it
  /// where allocations may go.
  std::unique_ptr<RowEmitter> makeEmitter(const RowProgram &program,
                                          llvm::ArrayRef<RowSource> sources,
                                          mlir::Value factor = {});
  /// Rows [row0, row0 + 64) of head `head` of the region's value, to `rows` [64][stride].
  void packRows(RowEmitter &emitter, mlir::Value row0, mlir::Value head, mlir::Value rows);
  /// The same of a whole tensor [T, H, d] in memory.
  void packRows(mlir::Value memory, mlir::Value row0, mlir::Value head, mlir::Value rows);
  /// `columns` [stride][64] = transpose of `rows` [64][stride].
  void transpose(mlir::Value rows, mlir::Value columns);

  /// A matrix in flat memory: element (i, j) is at origin + i·rowStride + j·columnStride.
  struct Matrix {
    mlir::Value memory;
    int64_t rowStride, columnStride = 1;
    mlir::Value origin = {}; ///< Null: 0.
  };
  /// C[64][vectors·lanes] (+)= A[64][length] · B[length][…]; rows of B and C are contiguous.
  /// `factors`: memref of one factor per row for ScaleAndAdd. `limit(i)`, if given, is the length
  /// that rows i … i + 3 need.
  void multiply(Matrix a, Matrix b, Matrix c, int64_t length, int64_t vectors, Accumulate mode,
                mlir::Value factors = {},
                llvm::function_ref<mlir::Value(mlir::Value)> limit = nullptr);

  /// e^x for x ≤ 88, relative error about (1 + |x|)·2^-24; 2^-126 where e^x is less, NaN for NaN.
  mlir::Value exp(mlir::Value x);

  // Small arithmetic on vectors and scalars.
  mlir::VectorType vectorType() { return mlir::VectorType::get({lanes}, b.getF32Type()); }
  mlir::Value splat(mlir::Value scalar);
  mlir::Value number(double value);
  mlir::Value load(mlir::Value memory, mlir::Value at);
  mlir::Value loadScalar(mlir::Value memory, mlir::Value at);
  void store(mlir::Value value, mlir::Value memory, mlir::Value at);
  void storeScalar(mlir::Value value, mlir::Value memory, mlir::Value at);
  mlir::Value add(mlir::Value x, mlir::Value y);
  mlir::Value sub(mlir::Value x, mlir::Value y);
  mlir::Value mul(mlir::Value x, mlir::Value y);
  mlir::Value select(mlir::Value condition, mlir::Value x, mlir::Value y);
  mlir::Value toInteger(mlir::Value index); ///< index → i32
  mlir::Value toIndex(mlir::Value integer);
  /// Lanes i with low ≤ start + i ≤ high (i32 scalars).
  mlir::Value lanesBetween(mlir::Value start, mlir::Value low, mlir::Value high);
  mlir::Value laneNumbers();
  /// Stores `width` floats of a row of vectors: the last store is masked.
  void forVectors(llvm::function_ref<void(int64_t at, int64_t valid)> body);
  mlir::Value loadValid(mlir::Value memory, mlir::Value at,
                        int64_t valid); ///< Lanes past `valid` are 0.
  /// Rounds to the memory's type.
  void storeValid(mlir::Value value, mlir::Value memory, mlir::Value at, int64_t valid);
  void when(mlir::Value condition, llvm::function_ref<void()> body);

  KernelFunction &function;
  mlir::ImplicitLocOpBuilder &b;
  AttentionShape shape;
  int64_t lanes, stride;

private:
  mlir::Value maskOf(int64_t valid);
  mlir::Value slot, slotRow; ///< Where packRows' sink stores.
};

/// The sources of a region of a kernel function: whole tensors, after `skip` arguments that the
/// caller fills in.
llvm::SmallVector<RowSource> makeWholeSources(KernelFunction &function, const RowProgram &program,
                                              mlir::ValueRange inputs, unsigned skip = 0);
/// Empty if the program can give rows of q, k or v, else why not.
std::string whyNotOperandRegion(const RowProgram &program);

} // namespace smelt
#endif
