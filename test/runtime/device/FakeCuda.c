// A libcuda for tests without a GPU: memory is the host's, everything happens at once, or, while a
// thread captures, copies, words and kernels when the graph is launched. Kernels do nothing, but
// for those that add parts in f32 (PartSums). FAKE_CUDA_GPUS says how many GPUs there are (1).
// FAKE_CUDA says what is wrong with it: "few" (1 MiB of memory), "other" (another GPU than cubins
// are for), "damaged" (no image loads), "none" (no GPU), "far" (no GPU reaches
// another), "no peers" (each process's first opening of another rank's memory fails), "wrong peers"
// (what is copied there is), "stuck" (what waits for a word waits for ever). Memory of 512 KiB and
// more is a file that other ranks, threads or processes, may map; waits for words are the host's.
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

typedef int Result;
typedef unsigned long long Pointer;
enum {
  InvalidValue = 1,
  OutOfMemory = 2,
  NoDevice = 100,
  InvalidImage = 200,
  NoBinary = 209,
  MapFailed = 205,
  NotReady = 600
};

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
Result cuCtxSynchronize(void) { return 0; }

// Memory in files: of this rank, or another's that it has opened. Behind the bytes, in the file, is
// the number of ranks that have it open.
typedef struct {
  Pointer at;
  size_t bytes; // Whole pages, without the number's.
  int file;     // -1 for another's.
} Range;
enum { Ranges = 256, Page = 4096 };
static Range ranges[Ranges];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static atomic_int opened, peerCopies;

static Range *find(Pointer pointer) {
  for (int i = 0; i < Ranges; ++i)
    if (ranges[i].bytes && pointer >= ranges[i].at && pointer < ranges[i].at + ranges[i].bytes)
      return &ranges[i];
  return NULL;
}
static atomic_int *openingsOf(const Range *range) {
  return (atomic_int *)(uintptr_t)(range->at + range->bytes);
}
static void forbid(int wrong, const char *what) {
  if (!wrong)
    return;
  fprintf(stderr, "fake CUDA: %s\n", what);
  abort();
}
static Result map(Pointer *pointer, size_t bytes, int file, int isOwn) {
  void *memory = mmap(NULL, bytes + Page, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (memory == MAP_FAILED)
    return MapFailed;
  pthread_mutex_lock(&mutex);
  for (int i = 0; i < Ranges; ++i)
    if (!ranges[i].bytes) {
      *pointer = (Pointer)(uintptr_t)memory;
      ranges[i] = (Range){*pointer, bytes, isOwn ? file : -1};
      if (!isOwn)
        atomic_fetch_add(openingsOf(&ranges[i]), 1);
      pthread_mutex_unlock(&mutex);
      return 0;
    }
  pthread_mutex_unlock(&mutex);
  munmap(memory, bytes + Page);
  return OutOfMemory;
}
static Result unmap(Pointer pointer, int isOwn) {
  pthread_mutex_lock(&mutex);
  Range *found = find(pointer), range = found ? *found : (Range){0};
  forbid(!found || range.at != pointer || (range.file >= 0) != isOwn, "not what was mapped");
  forbid(isOwn && *openingsOf(&range), "memory goes while another rank maps it");
  found->bytes = 0;
  if (isOwn)
    close(range.file);
  else
    atomic_fetch_sub(openingsOf(&range), 1);
  munmap((void *)(uintptr_t)range.at, range.bytes + Page);
  pthread_mutex_unlock(&mutex);
  return 0;
}

Result cuMemAlloc_v2(Pointer *pointer, size_t bytes) {
  if (is("few") && bytes > 9 << 20)
    return OutOfMemory;
  if (bytes >= 512 << 10) {
    size_t whole = (bytes + Page - 1) / Page * Page;
    int file = memfd_create("smelt-fake-cuda", MFD_CLOEXEC);
    Result result =
        ftruncate(file, (off_t)(whole + Page)) ? OutOfMemory : map(pointer, whole, file, 1);
    if (result == 0)
      memset((void *)(uintptr_t)*pointer, 0xcd, bytes);
    return result;
  }
  void *memory = aligned_alloc(256, (bytes + 255) / 256 * 256);
  memset(memory, 0xcd, bytes);
  *pointer = (Pointer)(uintptr_t)memory;
  return 0;
}
Result cuMemFree_v2(Pointer pointer) {
  pthread_mutex_lock(&mutex);
  int isRange = find(pointer) != NULL;
  pthread_mutex_unlock(&mutex);
  if (isRange)
    return unmap(pointer, 1);
  return free((void *)(uintptr_t)pointer), 0;
}

typedef struct {
  int process, file;
  uint64_t bytes;
  char rest[48];
} IpcMemory;
Result cuIpcGetMemHandle(IpcMemory *handle, Pointer pointer) {
  pthread_mutex_lock(&mutex);
  Range *range = find(pointer);
  *handle = (IpcMemory){getpid(), range ? range->file : -1, range ? range->bytes : 0, ""};
  pthread_mutex_unlock(&mutex);
  return range ? 0 : InvalidValue;
}
Result cuIpcOpenMemHandle_v2(Pointer *pointer, IpcMemory handle, unsigned flags) {
  char path[64];
  if (flags != 1 || (is("no peers") && atomic_fetch_add(&opened, 1) == 0))
    return MapFailed;
  snprintf(path, sizeof path, "/proc/%d/fd/%d", handle.process, handle.file);
  int file = open(path, O_RDWR | O_CLOEXEC);
  Result result = file < 0 ? MapFailed : map(pointer, handle.bytes, file, 0);
  close(file);
  return result;
}
Result cuCtxGetDevice(int *device) { return *device = 0, 0; }
Result cuDeviceCanAccessPeer(int *can, int device, int peer) { return *can = !is("far"), 0; }
Result cuIpcCloseMemHandle(Pointer pointer) { return unmap(pointer, 0); }
/// For tests: how many copies went into other ranks' memory.
int fakeCudaPeerCopies(void) { return peerCopies; }

typedef struct {
  int what;
  Pointer word;
  uint64_t value;
  unsigned flags;
  uint64_t rest[2];
} WordOperation;
/// What a graph does: one of these, in the order of their capture.
typedef struct {
  Pointer to, from; // A copy of so many bytes.
  size_t bytes;
  WordOperation *operations; // Or words.
  unsigned count;
  Pointer others, sum; // Or a sum.
  uint64_t vectors;
  unsigned parts, own;
} Step;
typedef struct {
  Step *steps;
  size_t count;
  int isTaken; // By an executable graph, which is the same.
} Graph;
static _Thread_local Graph *captured;

static int capture(Step step) {
  if (!captured)
    return 0;
  captured->steps = realloc(captured->steps, (captured->count + 1) * sizeof(Step));
  captured->steps[captured->count++] = step;
  return 1;
}
static Result doWords(const WordOperation *operations, unsigned count) {
  for (unsigned i = 0; i < count; ++i) {
    _Atomic uint32_t *word = (_Atomic uint32_t *)(uintptr_t)operations[i].word;
    uint32_t value = (uint32_t)operations[i].value;
    if (operations[i].what == 1) {
      if (operations[i].flags != 1)
        return InvalidValue;
      while (*word != value && !is("stuck"))
        usleep(20);
    } else if (operations[i].what == 2) {
      // Twice the same would be news that is lost.
      forbid(*word == value && !is("stuck"), "a word is written twice");
      *word = value;
    } else {
      return InvalidValue;
    }
  }
  return 0;
}
Result cuStreamBatchMemOp_v2(void *stream, unsigned count, WordOperation *operations,
                             unsigned flags) {
  if (!captured)
    return doWords(operations, count);
  WordOperation *own = malloc(count * sizeof *own);
  memcpy(own, operations, count * sizeof *own);
  return !capture((Step){.operations = own, .count = count});
}
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
static Result doCopy(Pointer to, Pointer from, size_t bytes) {
  pthread_mutex_lock(&mutex);
  Range *range = find(to);
  int isPeers = range && range->file < 0;
  pthread_mutex_unlock(&mutex);
  copy(to, from, bytes);
  if (isPeers && is("wrong peers"))
    *(char *)(uintptr_t)to ^= 1;
  peerCopies += isPeers;
  return 0;
}
Result cuMemcpyDtoDAsync_v2(Pointer to, Pointer from, size_t bytes, void *stream) {
  return capture((Step){.to = to, .from = from, .bytes = bytes}) ? 0 : doCopy(to, from, bytes);
}
static Result doSum(Step step) {
  const float *others = (const float *)(uintptr_t)step.others;
  float *sum = (float *)(uintptr_t)step.sum;
  for (uint64_t i = 0, numbers = 4 * step.vectors; i < numbers; ++i) {
    float all = 0;
    for (unsigned part = 0; part < step.parts; ++part)
      all += part == step.own ? sum[i] : others[(part - (part > step.own)) * numbers + i];
    sum[i] = all;
  }
  return 0;
}
Result cuStreamCreate(void **stream, unsigned flags) { return *stream = &token, 0; }
Result cuStreamCreateWithPriority(void **stream, unsigned flags, int priority) {
  return *stream = &token, 0;
}
Result cuStreamDestroy_v2(void *stream) { return 0; }
Result cuStreamSynchronize(void *stream) { return 0; }
Result cuStreamQuery(void *stream) { return is("stuck") ? NotReady : 0; }
Result cuStreamWaitEvent(void *stream, void *event, unsigned flags) { return 0; }
Result cuStreamBeginCapture_v2(void *stream, int mode) {
  captured = calloc(1, sizeof *captured);
  return 0;
}
Result cuStreamEndCapture(void *stream, void **graph) {
  *graph = captured;
  captured = NULL;
  return 0;
}
Result cuGraphInstantiateWithFlags(void **exec, Graph *graph, unsigned long long flags) {
  graph->isTaken = 1;
  return *exec = graph, 0;
}
Result cuGraphExecDestroy(Graph *graph) {
  for (size_t i = 0; i < graph->count; ++i)
    free(graph->steps[i].operations);
  free(graph->steps);
  free(graph);
  return 0;
}
Result cuGraphDestroy(Graph *graph) { return graph->isTaken ? 0 : cuGraphExecDestroy(graph); }
Result cuGraphLaunch(Graph *graph, void *stream) {
  for (size_t i = 0; i < graph->count; ++i) {
    Step *step = &graph->steps[i];
    Result result = step->operations ? doWords(step->operations, step->count)
                    : step->bytes    ? doCopy(step->to, step->from, step->bytes)
                                     : doSum(*step);
    if (result)
      return result;
  }
  return 0;
}
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
  Step step = {.others = *(Pointer *)parameters[0],
               .sum = *(Pointer *)parameters[1],
               .vectors = *(uint64_t *)parameters[2],
               .parts = *(unsigned *)parameters[3],
               .own = *(unsigned *)parameters[4]};
  return capture(step) ? 0 : doSum(step);
}
Result cuTensorMapEncodeTiled(void *map, int type, uint32_t rank, void *address,
                              const uint64_t *sizes, const uint64_t *strides, const uint32_t *box,
                              const uint32_t *steps, int interleave, int swizzle, int promotion,
                              int fill) {
  return 0;
}
