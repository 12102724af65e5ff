"""missing_without_gpu.py LIB: functions of the GPU code generators that other archives in LIB call and WithoutGPU.cpp lacks."""
import pathlib
import subprocess
import sys

# GPUTarget is built either way.
GENERATORS = {"libSmeltKernelToGPU.a", "libSmeltTargetCUDA.a"}
STUBS = "libSmeltWithoutGPU.a"


def symbols(archive, kind, object_names=None):
    lines = subprocess.run(["llvm-nm", kind, "--extern-only", "--print-file-name", "--no-weak", archive],
                           check=True, capture_output=True, text=True).stdout.splitlines()
    return {line.split()[-1] for line in lines if "GPUTarget.cpp" not in line}


libraries = pathlib.Path(sys.argv[1])
called = set()
for archive in libraries.glob("libSmelt*.a"):
    if archive.name not in GENERATORS | {STUBS}:
        called |= symbols(archive, "--undefined-only")
called &= set().union(*(symbols(libraries / name, "--defined-only") for name in GENERATORS))
print("functions called:", len(called))
print("missing:", *(sorted(called - symbols(libraries / STUBS, "--defined-only")) or ["none"]))
