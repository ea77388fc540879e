"""susc.hpp includes every header that needs no optional dependency, sorted, and nothing else. --fix rewrites it."""
import pathlib
import re
import sys

root = pathlib.Path(__file__).resolve().parents[2] / "include"
umbrella = root / "susc/susc.hpp"
optional = re.compile(r"#\s*include\s*<(sentencepiece|mpi\.h|netcdf\.h|torch/|ceres/)")

wanted = sorted(str(h.relative_to(root)) for h in root.glob("susc/*/*.hpp") if not optional.search(h.read_text()))
lines = umbrella.read_text().splitlines()
present = [line for line in lines if line.startswith("#include")]
expected = [f'#include "{header}"' for header in wanted]
if "--fix" in sys.argv:
    opening = [line for line in lines if line and not line.startswith("#include")]
    umbrella.write_text("\n".join(opening + expected) + "\n")
elif present != expected:
    for line in sorted(set(expected) - set(present)):
        print("missing:", line)
    for line in sorted(set(present) - set(expected)):
        print("not wanted:", line)
    sys.exit("include/susc/susc.hpp is not the sorted list of headers: run `python3 tests/house/umbrella.py --fix`")
