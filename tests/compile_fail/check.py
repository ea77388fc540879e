"""Each file compiles plainly, fails with -DSUSC_FAIL, and the compiler then prints what the file's `// expect:` says, in
all no more lines than its `// at most: N lines` allows.

Usage: check.py INCLUDE_DIR COMPILER... -- FILE... [--lines]   (--lines prints how many lines each message has)
"""
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

arguments = sys.argv[1:]
split = arguments.index("--")
include, compilers = arguments[0], arguments[1:split]
files = [f for f in arguments[split + 1:] if not f.startswith("--")]
flags = set(arguments[split + 1:]) - set(files)
wrong = []


def run(*command):
    return subprocess.run(command, capture_output=True, text=True)


def squeeze(text):
    """g++ quotes the source, whose sentences are string literals broken over lines: drop margins, quotes and spaces."""
    text = re.sub(r"^\s*\d*\s*\|", "", text, flags=re.MULTILINE)
    return re.sub(r'^[\s~^|]*$|["\s]', "", text, flags=re.MULTILINE)


def check(compiler, file, options):
    name, text = f"{pathlib.Path(file).name} ({pathlib.Path(compiler).name})", pathlib.Path(file).read_text()
    sentences = re.findall(r"^// expect: (.*)$", text, re.MULTILINE)
    if not sentences:
        wrong.append(f"{name}: no `// expect:` line")
    failing = run(compiler, *options, "-fsyntax-only", "-DSUSC_FAIL", file)
    if failing.returncode == 0:
        wrong.append(f"{name}: compiles with -DSUSC_FAIL")
    for sentence in sentences:
        if squeeze(sentence) not in squeeze(failing.stderr):
            wrong.append(f"{name}: the compiler does not say: {sentence}\n{failing.stderr}")
    lines = failing.stderr.count("\n")
    for most in re.findall(r"^// at most: (\d+) lines$", text, re.MULTILINE):
        if lines > int(most):
            wrong.append(f"{name}: the compiler says {lines} lines\n{failing.stderr}")
    if "--lines" in flags:
        print(f"{lines:4d} lines: {name}")


def check_plain(compiler, all_files, options):
    """All in one go, each in a namespace of its own, once what they include has been included outside."""
    includes = {}
    for file in all_files:
        for line in re.findall(r"^#include .*$", pathlib.Path(file).read_text(), re.MULTILINE):
            includes[line] = None
    source = "\n".join(includes) + "\n" + "".join(
        f'namespace file_{number} {{\n#include "{file}"\n}}\n' for number, file in enumerate(all_files))
    done = subprocess.run([compiler, *options, "-I", pathlib.Path(all_files[0]).parent, "-fsyntax-only", "-x", "c++", "-"],
                          input=source, capture_output=True, text=True)
    if done.returncode != 0:
        wrong.append(f"the files do not compile plainly ({pathlib.Path(compiler).name})\n{done.stderr}")


# What the library needs, and two precompiled headers, which save most of the time: the second takes long to load.
dependencies = run("pkg-config", "--cflags", "eigen3", "xtensor", "xsimd").stdout.split()
HEADERS = {"light": ["response/observable.hpp", "sampling/chain.hpp", "sampling/visitor.hpp"],
           "entry": ["response/estimate.hpp", "response/learning_coefficient.hpp", "training/adamw.hpp"]}


def precompiled(file):
    return "entry" if pathlib.Path(file).name.startswith("entry_") else "light"


with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool, tempfile.TemporaryDirectory() as folder:
    checks = []
    for number, compiler in enumerate({os.path.realpath(shutil.which(c)): c for c in compilers}.values()):
        for name, headers in HEADERS.items():  # c++ may be another name of g++
            header = pathlib.Path(folder) / f"{name}{number}.hpp"
            header.write_text("".join(f'#include "susc/{h}"\n' for h in headers))
            options = ["-std=c++20", "-I", include, *dependencies]
            run(compiler, *options, "-x", "c++-header", str(header), "-o", f"{header}.gch")
            mine = [file for file in files if precompiled(file) == name]
            options += ["-include", str(header)]
            checks += [pool.submit(check, compiler, file, options) for file in mine]
            checks.append(pool.submit(check_plain, compiler, mine, options))
        print(f"{compiler}: {len(files)} files")
    for done in checks:
        done.result()
sys.exit("\n".join(wrong) or 0)
