// A libcuda for tests without a GPU: memory is the host's, everything happens at once, kernels do
// nothing, but for those that add parts in f32 (PartSums). FAKE_CUDA_GPUS says how many GPUs there
// are (1). FAKE_CUDA says what is wrong with it: "few" (1 MiB of memory), "other" (another GPU than
// cubins are for), "damaged" (no image loads), "none" (no GPU).
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int Result;
typedef unsigned long long Pointer;
enum { OutOfMemory = 2, NoDevice = 100, InvalidImage = 200, NoBinary = 209 };

static int is(const char *what) {
  const char *mode = getenv("FAKE_CUDA");
  return mode && strcmp(mode, what) == 0;
}
static int token;    // What handles point to.
static int addParts; // The one kernel that works.

Result cuInit(unsigned flags) { return is("none") ? NoDevice : 0; }
Result cuGetErrorName(Result r, const char **name) {
  *name = r == NoDevice ? "CUDA_ERROR_NO_DEVICE" : "CUDA_ERROR_FAKE";
  return 0;
}
Result cuGetErrorString(Result r, const char **text) { return *text = "as the test wants", 0; }
Result cuDriverGetVersion(int *version) { return *version = 13000, 0; }
Result cuDeviceGetCount(int *count) {
  const char *gpus = getenv("FAKE_CUDA_GPUS");
  return *count = gpus ? atoi(gpus) : 1, 0;
}
Result cuDeviceGet(int *device, int ordinal) { return *device = ordinal, 0; }
Result cuDeviceGetName(char *name, int bytes, int device) { return strcpy(name, "Fake"), 0; }
Result cuDeviceGetUuid_v2(char *uuid, int device) { return memset(uuid, 1 + device, 16), 0; }
Result cuDeviceGetAttribute(int *value, int which, int device) { return *value = 9, 0; }
Result cuDevicePrimaryCtxRetain(void **context, int device) { return *context = &token, 0; }
Result cuDevicePrimaryCtxRelease_v2(int device) { return 0; }
Result cuCtxSetCurrent(void *context) { return 0; }
Result cuMemGetInfo_v2(size_t *free, size_t *total) {
  *free = 1 << 20;
  *total = 64 << 20;
  return 0;
}
Result cuMemAlloc_v2(Pointer *pointer, size_t bytes) {
  if (is("few") && bytes > 9 << 20)
    return OutOfMemory;
  void *memory = aligned_alloc(256, (bytes + 255) / 256 * 256);
  memset(memory, 0xcd, bytes);
  *pointer = (Pointer)(uintptr_t)memory;
  return 0;
}
Result cuMemFree_v2(Pointer pointer) { return free((void *)(uintptr_t)pointer), 0; }
Result cuMemAllocHost_v2(void **memory, size_t bytes) { return (*memory = malloc(bytes)) ? 0 : 2; }
Result cuMemFreeHost(void *memory) { return free(memory), 0; }
Result cuMemsetD8Async(Pointer to, unsigned char value, size_t bytes, void *stream) {
  return memset((void *)(uintptr_t)to, value, bytes), 0;
}
Result cuMemsetD32Async(Pointer to, unsigned value, size_t count, void *stream) {
  for (size_t i = 0; i < count; ++i)
    ((unsigned *)(uintptr_t)to)[i] = value;
  return 0;
}
static Result copy(Pointer to, Pointer from, size_t bytes) {
  return memcpy((void *)(uintptr_t)to, (void *)(uintptr_t)from, bytes), 0;
}
Result cuMemcpyHtoDAsync_v2(Pointer to, const void *from, size_t bytes, void *stream) {
  return copy(to, (Pointer)(uintptr_t)from, bytes);
}
Result cuMemcpyDtoHAsync_v2(void *to, Pointer from, size_t bytes, void *stream) {
  return copy((Pointer)(uintptr_t)to, from, bytes);
}
Result cuMemcpyDtoDAsync_v2(Pointer to, Pointer from, size_t bytes, void *stream) {
  return copy(to, from, bytes);
}
Result cuStreamCreate(void **stream, unsigned flags) { return *stream = &token, 0; }
Result cuStreamCreateWithPriority(void **stream, unsigned flags, int priority) {
  return *stream = &token, 0;
}
Result cuStreamDestroy_v2(void *stream) { return 0; }
Result cuStreamSynchronize(void *stream) { return 0; }
Result cuStreamQuery(void *stream) { return 0; }
Result cuStreamWaitEvent(void *stream, void *event, unsigned flags) { return 0; }
Result cuStreamBeginCapture_v2(void *stream, int mode) { return 0; }
Result cuStreamEndCapture(void *stream, void **graph) { return *graph = &token, 0; }
Result cuGraphInstantiateWithFlags(void **exec, void *graph, unsigned long long flags) {
  return *exec = &token, 0;
}
Result cuGraphDestroy(void *graph) { return 0; }
Result cuGraphExecDestroy(void *exec) { return 0; }
Result cuGraphLaunch(void *exec, void *stream) { return 0; }
Result cuEventCreate(void **event, unsigned flags) { return *event = &token, 0; }
Result cuEventDestroy_v2(void *event) { return 0; }
Result cuEventRecord(void *event, void *stream) { return 0; }
Result cuEventSynchronize(void *event) { return 0; }
Result cuEventElapsedTime(float *milliseconds, void *from, void *to) {
  return *milliseconds = 0, 0;
}
Result cuModuleLoadDataEx(void **module, const void *image, unsigned count, int *options,
                          void **values) {
  // The other GPU takes text alone.
  if (is("other") && strncmp(image, ".version", 8) != 0)
    return NoBinary;
  const char *dump = getenv("FAKE_CUDA_DUMP");
  if (dump && strncmp(image, ".version", 8) == 0) {
    FILE *file = fopen(dump, "w");
    fputs(image, file);
    fclose(file);
  }
  return *module = &token, is("damaged") ? InvalidImage : 0;
}
Result cuModuleUnload(void *module) { return 0; }
Result cuModuleGetFunction(void **function, void *module, const char *name) {
  *function = strcmp(name, "smelt_add_parts_f32") == 0 ? &addParts : &token;
  return 0;
}
Result cuFuncSetAttribute(void *function, int which, int value) { return 0; }
Result cuLaunchKernel(void *function, unsigned x, unsigned y, unsigned z, unsigned bx, unsigned by,
                      unsigned bz, unsigned shared, void *stream, void **parameters, void **extra) {
  if (function != &addParts)
    return 0;
  const float *parts = *(const float **)parameters[0];
  float *sum = *(float **)parameters[1];
  uint64_t numbers = 4 * *(const uint64_t *)parameters[2];
  unsigned count = *(const unsigned *)parameters[3];
  for (uint64_t i = 0; i < numbers; ++i) {
    float all = parts[i];
    for (unsigned part = 1; part < count; ++part)
      all += parts[part * numbers + i];
    sum[i] = all;
  }
  return 0;
}
Result cuTensorMapEncodeTiled(void *map, int type, uint32_t rank, void *address,
                              const uint64_t *sizes, const uint64_t *strides, const uint32_t *box,
                              const uint32_t *steps, int interleave, int swizzle, int promotion,
                              int fill) {
  return 0;
}
