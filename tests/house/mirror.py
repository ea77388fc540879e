"""tests/ mirrors include/susc/: every header has a test file that includes it before all others, so that it is seen to
compile alone, and the build knows every test file.

Usage: mirror.py FOLDER/NAME.cpp...   (the test files that the build compiles)
"""
import pathlib
import re
import sys

OPTIONAL = {"data/sentencepiece.cpp", "models/autodiff_model.cpp", "models/torch_model.cpp", "sampling/mpi.cpp", "io/netcdf.cpp"}  # built where the dependency is found
UNTESTED = {"susc.hpp"}  # the umbrella: compiled and linked by the test `headers` instead
THROUGH = {  # the parts of one thing are tested through it
    "models/transformer_": "models/transformer.cpp",
    "models/pretrained_": "models/pretrained_transformer.cpp",
    "kernels/matrix.": "kernels/gemm.cpp",
    "kernels/split_bfloat16_": "kernels/split_bfloat16.cpp",
}

root = pathlib.Path(__file__).resolve().parents[2]
built = set(sys.argv[1:])
wrong = []
for header in sorted((root / "include/susc").rglob("*.hpp")):
    name = header.relative_to(root / "include/susc").as_posix()
    if name in UNTESTED or any(name.startswith(p) and (root / "tests" / t).exists() for p, t in THROUGH.items()):
        continue
    test = root / "tests" / name.replace(".hpp", ".cpp")
    if not test.exists():
        wrong.append(f"include/susc/{name} has no tests/{name.replace('.hpp', '.cpp')}")
    elif not re.match(rf'(//.*\n)*#include "susc/{re.escape(name)}"\n', test.read_text()):
        wrong.append(f"{test.relative_to(root)} does not begin with #include \"susc/{name}\"")
for folder in sorted(p for p in (root / "include/susc").iterdir() if p.is_dir()):
    for test in sorted((root / "tests" / folder.name).glob("*.cpp")):
        name = f"{folder.name}/{test.name}"
        if name not in built | OPTIONAL:
            wrong.append(f"tests/{name} is not built: add it to tests/meson.build")
sys.exit("\n".join(wrong) or 0)
