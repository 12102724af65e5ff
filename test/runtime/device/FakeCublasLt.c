// A libcublasLt for tests without a GPU: it multiplies in the host's memory, at once (FakeCuda.c's
// memory is the host's). Its algorithms are a number and how much workspace they want.
// FAKE_CUBLASLT says what is wrong with it: "refuses" (every algorithm), "none" (it finds no
// algorithm). fake_cublaslt_calls counts products.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef int Result;
enum { NotSupported = 15 };
typedef struct {
  int pointerMode, transposeA, transposeB;
} Description;
typedef struct {
  int type;
  uint64_t rows, columns;
  int64_t pitch;
  int batches;
  int64_t apart;
} Layout;
typedef struct {
  uint64_t workspace;
} Preference;
typedef struct {
  uint64_t data[8];
} Algorithm;
typedef struct {
  Algorithm algorithm;
  size_t workspace;
  Result state;
  float waves;
  int reserved[4];
} Candidate;

int fake_cublaslt_calls = 0;
uint64_t fake_cublaslt_algorithm = 0; ///< Of the last call.
static int is(const char *what) {
  const char *mode = getenv("FAKE_CUBLASLT");
  return mode && strcmp(mode, what) == 0;
}

size_t cublasLtGetVersion(void) { return 130100; }
const char *cublasLtGetStatusName(Result status) { return "CUBLAS_STATUS_FAKE"; }
Result cublasLtCreate(void **handle) { return *handle = &fake_cublaslt_calls, 0; }
Result cublasLtDestroy(void *handle) { return 0; }
Result cublasLtMatmulDescCreate(Description **made, int compute, int scale) {
  *made = calloc(1, sizeof **made);
  return compute == 68 && scale == 0 ? 0 : NotSupported;
}
Result cublasLtMatmulDescDestroy(Description *desc) { return free(desc), 0; }
Result cublasLtMatmulDescSetAttribute(Description *desc, int which, const void *value,
                                      size_t bytes) {
  int *places[] = {0, 0, &desc->pointerMode, &desc->transposeA, &desc->transposeB};
  if (which < 2 || which > 4 || bytes != 4)
    return NotSupported;
  return memcpy(places[which], value, bytes), 0;
}
Result cublasLtMatrixLayoutCreate(Layout **made, int type, uint64_t rows, uint64_t columns,
                                  int64_t pitch) {
  *made = calloc(1, sizeof **made);
  **made = (Layout){type, rows, columns, pitch, 1, 0};
  return 0;
}
Result cublasLtMatrixLayoutDestroy(Layout *layout) { return free(layout), 0; }
Result cublasLtMatrixLayoutSetAttribute(Layout *layout, int which, const void *value,
                                        size_t bytes) {
  if (which == 5 && bytes == 4)
    return memcpy(&layout->batches, value, bytes), 0;
  if (which == 6 && bytes == 8)
    return memcpy(&layout->apart, value, bytes), 0;
  return NotSupported;
}
Result cublasLtMatmulPreferenceCreate(Preference **made) {
  return (*made = calloc(1, sizeof **made)) ? 0 : NotSupported;
}
Result cublasLtMatmulPreferenceDestroy(Preference *preference) { return free(preference), 0; }
Result cublasLtMatmulPreferenceSetAttribute(Preference *preference, int which, const void *value,
                                            size_t bytes) {
  return which == 1 && bytes == 8 ? (memcpy(&preference->workspace, value, 8), 0) : NotSupported;
}
/// Two algorithms: 7 without a workspace, 8 with one of 512 bytes.
Result cublasLtMatmulAlgoGetHeuristic(void *handle, Description *desc, Layout *a, Layout *b,
                                      Layout *c, Layout *d, Preference *preference, int count,
                                      Candidate *found, int *number) {
  if (is("none"))
    return NotSupported;
  *number = 0;
  for (uint64_t id = 7; id <= 8 && *number < count; ++id) {
    uint64_t workspace = id == 8 ? 512 : 0;
    if (workspace <= preference->workspace)
      found[(*number)++] = (Candidate){{{id, workspace}}, workspace, 0, 1, {0}};
  }
  return 0;
}
Result cublasLtMatmulAlgoCheck(void *handle, Description *desc, Layout *a, Layout *b, Layout *c,
                               Layout *d, const Algorithm *algorithm, Candidate *result) {
  if (is("refuses") || algorithm->data[0] < 7 || algorithm->data[0] > 8)
    return NotSupported;
  *result = (Candidate){*algorithm, algorithm->data[1], 0, 1, {0}};
  return 0;
}

static float load(const void *at, int type, int64_t index) {
  if (type == 0)
    return ((const float *)at)[index];
  uint32_t bits = (uint32_t)((const uint16_t *)at)[index] << 16;
  float value;
  memcpy(&value, &bits, 4);
  return value;
}
static void store(void *at, int type, int64_t index, float value) {
  if (type == 0) {
    ((float *)at)[index] = value;
    return;
  }
  uint32_t bits;
  memcpy(&bits, &value, 4);
  ((uint16_t *)at)[index] = (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}
/// Element [row, column] of op(matrix) number `batch`; matrices are column-major.
static float element(const void *at, const Layout *layout, int transposed, int batch, int64_t row,
                     int64_t column) {
  int64_t index = transposed ? row * layout->pitch + column : column * layout->pitch + row;
  return load(at, layout->type, batch * layout->apart + index);
}
Result cublasLtMatmul(void *handle, Description *desc, const float *alpha, const void *a,
                      Layout *la, const void *b, Layout *lb, const float *beta, const void *c,
                      Layout *lc, void *d, Layout *ld, const Algorithm *algorithm, void *workspace,
                      size_t workspaceBytes, void *stream) {
  if (algorithm->data[1] > workspaceBytes)
    return NotSupported;
  ++fake_cublaslt_calls;
  fake_cublaslt_algorithm = algorithm->data[0];
  memset(workspace, 0xee, algorithm->data[1]);
  int64_t depth = (int64_t)(desc->transposeA ? la->rows : la->columns);
  for (int batch = 0; batch < ld->batches; ++batch)
    for (int64_t column = 0; column < (int64_t)ld->columns; ++column)
      for (int64_t row = 0; row < (int64_t)ld->rows; ++row) {
        float sum = 0;
        for (int64_t k = 0; k < depth; ++k)
          sum += element(a, la, desc->transposeA, batch, row, k) *
                 element(b, lb, desc->transposeB, batch, k, column);
        sum *= *alpha;
        if (*beta != 0)
          sum += *beta * element(c, lc, 0, batch, row, column);
        store(d, ld->type, batch * ld->apart + column * ld->pitch + row, sum);
      }
  return 0;
}
