"""clang-tidy with the checks of .clang-tidy over the headers, by a few programs that instantiate most of them.

Usage: tidy.py [FILE...]
"""
import concurrent.futures
import os
import pathlib
import subprocess
import sys

root = pathlib.Path(__file__).resolve().parents[2]
files = sys.argv[1:] or ["examples/02_your_own_network.cpp", "tests/io/npy.cpp", "tests/io/safetensors.cpp",
                         "tests/models/transformer_file.cpp", "tests/report/html.cpp"]
packages = ["eigen3", "xtensor", "xsimd", "nlohmann_json"]
found = subprocess.run(["pkg-config", "--cflags", *packages], capture_output=True, text=True, check=True).stdout.split()
flags = ["-std=c++20", "-I", root / "include", "-I", root / "tests", *(f.replace("-I", "-isystem") for f in found),
         '-DSUSC_FIXTURES=""']


def check(file):
    done = subprocess.run(["clang-tidy", "--quiet", root / file, "--", *flags], capture_output=True, text=True)
    return done.stdout if done.returncode != 0 else ""


with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
    wrong = [message for message in pool.map(check, files) if message]
sys.exit("\n".join(wrong) or 0)
