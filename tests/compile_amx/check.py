"""The kernels compile without a warning for a CPU that has AMX, on any machine.

Usage: check.py INCLUDE_DIR COMPILER...   Exits with 77, skipped, where no compiler knows such a CPU.
"""
import os
import shutil
import subprocess
import sys

CPU = "sapphirerapids"
SOURCE = """
#include "susc/kernels/gemm.hpp"
#if !defined(SUSC_HAS_AMX)
#error "no AMX"
#endif
using namespace susc::kernels;
template void susc::kernels::multiply<float>(matrix<float>, matrix<float const>, matrix<float const>, output, precision);
"""

include, compilers = sys.argv[1], sys.argv[2:]


def run(compiler, source, *options):
    command = [compiler, f"-march={CPU}", "-x", "c++", "-std=c++20", "-fsyntax-only", *options, "-"]
    return subprocess.run(command, input=source, capture_output=True, text=True)


wrong, able = [], 0
for compiler in {os.path.realpath(shutil.which(c)): c for c in compilers}.values():
    if run(compiler, "").returncode != 0:
        print(f"{compiler}: knows no -march={CPU}")
        continue
    able += 1
    done = run(compiler, SOURCE, "-Wall", "-Wextra", "-Werror", "-I", include)
    if done.returncode != 0:
        wrong.append(f"{compiler}:\n{done.stderr}")
sys.exit("\n".join(wrong) or (0 if able else 77))
