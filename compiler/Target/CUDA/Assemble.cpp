//===- Assemble.cpp - PTX to cubin by ptxas -------------------------------===//
#include "compiler/Target/CUDA/EmitGPUCode.h"

#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Program.h"
#include "llvm/Support/raw_ostream.h"

using namespace llvm;

namespace smelt {
namespace {

/// A temporary file that is removed when it goes out of scope.
struct TemporaryFile {
  SmallString<128> path;
  explicit TemporaryFile(StringRef suffix) {
    if (sys::fs::createTemporaryFile("smelt-kernels", suffix, path))
      path.clear();
  }
  ~TemporaryFile() {
    if (!path.empty())
      sys::fs::remove(path);
  }
};

int64_t numberBefore(StringRef line, StringRef what) {
  size_t at = line.find(what);
  if (at == StringRef::npos)
    return 0;
  StringRef before = line.take_front(at).rtrim();
  size_t begin = before.find_last_not_of("0123456789");
  int64_t value = 0;
  before.substr(begin == StringRef::npos ? 0 : begin + 1).getAsInteger(10, value);
  return value;
}

/// Runs it, with what it says in `said`. Empty, or why that failed.
std::string runPtxas(ArrayRef<StringRef> arguments, std::string &said) {
  TemporaryFile log("log");
  if (log.path.empty())
    return "cannot write a temporary file for ptxas";
  std::string message;
  int status =
      sys::ExecuteAndWait(arguments.front(), arguments, std::nullopt,
                          {std::nullopt, log.path.str(), log.path.str()}, 600, 0, &message);
  auto text = MemoryBuffer::getFile(log.path);
  said = text ? (*text)->getBuffer().str() : "";
  return status == 0 ? "" : "ptxas failed: " + message + StringRef(said).take_front(2000).str();
}

} // namespace

/// ptxas -v: "Compiling entry function 'f'", "… bytes stack frame, … bytes spill stores, …",
/// "Used … registers, … bytes smem".
void parseLog(GPUCode &code) {
  SmallVector<StringRef> lines;
  StringRef(code.log).split(lines, '\n');
  for (StringRef line : lines) {
    if (line.contains("Compiling entry function")) {
      code.resources.emplace_back();
      code.resources.back().symbol = line.split('\'').second.split('\'').first.str();
    } else if (!code.resources.empty() && line.contains("bytes stack frame")) {
      code.resources.back().stackBytes = numberBefore(line, "bytes stack frame");
      code.resources.back().spillBytes = numberBefore(line, "bytes spill stores") +
                                         numberBefore(line, "bytes spill loads");
    } else if (!code.resources.empty() && line.contains("Used ")) {
      code.resources.back().registers = numberBefore(line, "registers");
      code.resources.back().sharedBytes = numberBefore(line, "bytes smem");
    } else if (line.contains("warning") || line.contains("wgmma") || line.contains("error")) {
      code.notes.push_back(line.str());
    }
  }
}

std::string findPtxas() {
  if (auto path = sys::findProgramByName("ptxas"))
    return *path;
  for (const char *path : {"/usr/local/cuda/bin/ptxas", "/opt/cuda/bin/ptxas"})
    if (sys::fs::can_execute(path))
      return path;
  return "";
}

std::string identifyPtxas(const std::string &ptxas) {
  std::string said;
  return runPtxas({ptxas, "--version"}, said).empty() ? said : "";
}

bool assemble(const GPUTarget &target, const std::string &ptxas, GPUCode &code,
              std::string &error) {
  TemporaryFile ptx("ptx"), cubin("cubin");
  std::error_code failed;
  {
    raw_fd_ostream out(ptx.path, failed);
    if (!failed)
      out << code.ptx;
  }
  if (failed || cubin.path.empty()) {
    error = "cannot write a temporary file for ptxas";
    return false;
  }
  std::string architecture = "-arch=" + target.chip;
  error = runPtxas({ptxas, "-v", architecture, "--split-compile=0", ptx.path, "-o", cubin.path},
                   code.log);
  if (!error.empty())
    return false;
  parseLog(code);
  auto bytes = MemoryBuffer::getFile(cubin.path, /*IsText=*/false, /*RequiresNullTerminator=*/false);
  if (!bytes || (*bytes)->getBufferSize() == 0) {
    error = "ptxas wrote no cubin";
    return false;
  }
  code.cubin = (*bytes)->getBuffer().str();
  return true;
}

} // namespace smelt
