"""Files compile without a warning; no program is made of them, which is most of the work.

Usage: syntax.py COMPILER FLAG... -- FILE...   (flags besides those that every file needs)
"""
import concurrent.futures
import os
import pathlib
import subprocess
import sys

root = pathlib.Path(__file__).resolve().parents[2]
split = sys.argv.index("--")
packages = ["eigen3", "xtensor", "xsimd", "nlohmann_json"]
found = subprocess.run(["pkg-config", "--cflags", *packages], capture_output=True, text=True, check=True).stdout.split()
command = [sys.argv[1], "-std=c++20", "-fsyntax-only", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-I", root / "include",
           "-I", root / "tests", "-I", root / "examples/calibrate", "-I", root / "examples/development",
           *(f.replace("-I", "-isystem") for f in found),
           '-DSUSC_FIXTURES=""', *sys.argv[2:split]]


def check(file):
    done = subprocess.run([*command, file], capture_output=True, text=True)
    return f"{file}:\n{done.stderr}" if done.returncode != 0 else ""


with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
    wrong = [message for message in pool.map(check, sys.argv[split + 1:]) if message]
print(f"{len(sys.argv) - split - 1} files")
sys.exit("\n".join(wrong) or 0)
