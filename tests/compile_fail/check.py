"""Each file compiles plainly, fails with -DSUSC_FAIL, and the compiler then prints what the file's `// expect:` says.

Usage: check.py INCLUDE_DIR COMPILER... -- FILE...
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

arguments = sys.argv[1:]
split = arguments.index("--")
include, compilers, files = arguments[0], arguments[1:split], arguments[split + 1:]
wrong = []


def run(*command):
    return subprocess.run(command, capture_output=True, text=True)


def squeeze(text):
    """g++ quotes the source, whose sentences are string literals broken over lines: drop margins, quotes and spaces."""
    text = re.sub(r"^\s*\d*\s*\|", "", text, flags=re.MULTILINE)
    return re.sub(r'^[\s~^|]*$|["\s]', "", text, flags=re.MULTILINE)


def check(compiler, file, options):
    name = f"{pathlib.Path(file).name} ({pathlib.Path(compiler).name})"
    sentences = re.findall(r"^// expect: (.*)$", pathlib.Path(file).read_text(), re.MULTILINE)
    if not sentences:
        wrong.append(f"{name}: no `// expect:` line")
    plain = run(compiler, *options, "-fsyntax-only", file)
    if plain.returncode != 0:
        wrong.append(f"{name}: does not compile plainly\n{plain.stderr}")
    failing = run(compiler, *options, "-fsyntax-only", "-DSUSC_FAIL", file)
    if failing.returncode == 0:
        wrong.append(f"{name}: compiles with -DSUSC_FAIL")
    for sentence in sentences:
        if squeeze(sentence) not in squeeze(failing.stderr):
            wrong.append(f"{name}: the compiler does not say: {sentence}\n{failing.stderr}")


for compiler in {os.path.realpath(shutil.which(c)): c for c in compilers}.values():  # c++ may be another name of g++
    with tempfile.TemporaryDirectory() as folder:
        # A precompiled header saves three quarters of the time.
        header = pathlib.Path(folder) / "common.hpp"
        header.write_text('#include "susc/core/concepts.hpp"\n')
        options = ["-std=c++20", "-I", include]
        run(compiler, *options, "-x", "c++-header", str(header), "-o", f"{header}.gch")
        for file in files:
            check(compiler, file, options + ["-include", str(header)])
    print(f"{compiler}: {len(files)} files")
sys.exit("\n".join(wrong) or 0)
