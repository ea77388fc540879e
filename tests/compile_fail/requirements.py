"""What the library needs is said in a sentence: C++20 before any other error, and the version of each dependency.

Usage: requirements.py INCLUDE_DIR COMPILER... -- DEPENDENCY=OLDEST_VERSION...
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys

LIBRARIES = {  # by the package's name: pattern of its headers' folder, name in the sentence, version macros
    "eigen3": ("(?:unsupported/)?Eigen", "Eigen", "EIGEN_WORLD_VERSION", "EIGEN_MAJOR_VERSION"),
    "xtensor": ("xtensor", "xtensor", "XTENSOR_VERSION_MAJOR", "XTENSOR_VERSION_MINOR"),
    "xsimd": ("xsimd", "xsimd", "XSIMD_VERSION_MAJOR", "XSIMD_VERSION_MINOR"),
    "nlohmann_json": ("nlohmann", "nlohmann/json", "NLOHMANN_JSON_VERSION_MAJOR", "NLOHMANN_JSON_VERSION_MINOR"),
}

arguments = sys.argv[1:]
split = arguments.index("--")
include, compilers = pathlib.Path(arguments[0]), arguments[1:split]
oldest = dict(argument.split("=") for argument in arguments[split + 1:])
compilers = {os.path.realpath(shutil.which(c)): c for c in compilers}.values()
texts = {h.relative_to(include).as_posix(): h.read_text() for h in sorted(include.glob("susc/*/*.hpp"))}
eigen_flags = subprocess.run(["pkg-config", "--cflags", "eigen3"], capture_output=True, text=True).stdout.split()
wrong = []
if oldest.keys() != LIBRARIES.keys():
    sys.exit(f"the build names the dependencies {sorted(oldest)}, this test {sorted(LIBRARIES)}")


def includes(header):
    return re.findall(r'^#include "([^"]+)"', texts.get(header, ""), re.MULTILINE)


def closure(header):
    """The header and all of the library's that it includes."""
    found, waiting = set(), [header]
    while waiting:
        found.add(header := waiting.pop())
        waiting += [h for h in includes(header) if h not in found]
    return found


def run(compiler, source, *options):
    command = [compiler, "-x", "c++", "-I", str(include), *eigen_flags, *options, "-"]
    return subprocess.run(command, input=source, capture_output=True, text=True, env=os.environ | {"LC_ALL": "C"})


def first_error(compiler, source, standard):
    said = run(compiler, source, f"-std={standard}", "-fsyntax-only", "-Wfatal-errors").stderr
    return next((line for line in said.splitlines() if "error:" in line), "no error")


def version_checks(compiler, source):
    """What the headers assert of versions, once macros are expanded: {(header, numbers compared, sentence)}."""
    found, header = set(), None
    for line in run(compiler, source, "-std=c++20", "-E").stdout.splitlines():
        if marker := re.match(r'# \d+ "([^"]*)"', line):
            header = marker[1].removeprefix(f"{include}/")
        elif check := re.search(r"static_assert\(susc::detail::version_at_least\((.*?)\), *\"(.*)\"\);", line):
            found.add((header, check[1], re.sub(r'" *"', "", check[2])))
    return found


for header in texts:
    if "susc/core/requirements.hpp" not in closure(header):
        wrong.append(f"{header} does not include susc/core/requirements.hpp, itself or by another header")

for name, (folder, _, _, _) in LIBRARIES.items():  # a network is written against the concepts alone
    wrong += [f"susc/core/concepts.hpp includes {name} by {header}" for header in closure("susc/core/concepts.hpp")
              if re.search(rf"^#include <{folder}/", texts[header], re.MULTILINE)]

# Each dependency is included, said to be one minor version too old, and asked for by the headers that include it.
source, expected, users = "", set(), set()
for name, (folder, words, major, minor) in LIBRARIES.items():
    least_major, least_minor = map(int, oldest[name].split("."))
    too_old = least_minor - 1
    sentence = f"susc needs {words} {oldest[name]} or newer, but found {least_major}.{too_old}"
    for header, text in texts.items():
        if lines := re.findall(rf"^#include <{folder}/.*", text, re.MULTILINE):
            source += "\n".join(lines) + "\n"
            expected.add((header, f"{least_major}, {too_old}, {least_major}, {least_minor}", sentence))
            users.add(header)
    source += f"#undef {major}\n#define {major} {least_major}\n#undef {minor}\n#define {minor} {too_old}\n"
for compiler in compilers:
    checks = version_checks(compiler, source + "".join(f'#include "{header}"\n' for header in sorted(users)))
    wrong += [f"{compiler}: missing {check}" for check in sorted(expected - checks)]
    wrong += [f"{compiler}: not wanted {check}" for check in sorted(checks - expected)]
    for what, said, standard, header, wanted in [
            ("an old xsimd", "#include <xsimd/xsimd.hpp>\n#undef XSIMD_VERSION_MAJOR\n#define XSIMD_VERSION_MAJOR 7\n",
             "c++20", "susc/kernels/ops.hpp", "but found 7."),
            *(("C++17", "", "c++17", header, "susc needs C++20: compile with -std=c++20")
              for header in ("susc/core/concepts.hpp", "susc/response/estimate.hpp"))]:
        error = first_error(compiler, f'{said}#include "{header}"\n', standard)
        if wanted not in error:
            wrong.append(f"{compiler}: the first error of {header} with {what} is {error}")
    print(f"{compiler}: {len(expected)} checks of versions")
sys.exit("\n".join(wrong) or 0)
