"""The kernels of tools/bench/gpu by name: their MLIR, inputs, meaning in float64 and yardstick in PyTorch (see case.Case).

  cases.py         writes the MLIR of all products in bf16 and of attention
  cases.py head    writes that of f8 products and of heads
A family of kernels is a module: a name begins with one of its words, and the module has mlir(name), find(name) and ALL, its names.
"""
import sys

import attention_cases
import fp8_cases
import gemm_cases
import head_cases

FAMILIES = {"gemm": gemm_cases, "attention": attention_cases, "backward": attention_cases, "f8": fp8_cases, "head": head_cases}


def family(name):
    return FAMILIES[name.split("_")[0]]


def find(name):
    return family(name).find(name)


if __name__ == "__main__":
    if sys.argv[1:] == ["head"]:
        print("\n".join(family(name).mlir(name) for name in fp8_cases.ALL + head_cases.ALL))
    else:
        for name in gemm_cases.ALL + attention_cases.ALL:
            print(family(name).mlir(name))
