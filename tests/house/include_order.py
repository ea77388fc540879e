"""Each folder of include/susc includes itself and lower floors only, and no header takes part in a cycle."""
import pathlib
import re
import sys

FLOORS = [["core"], ["kernels", "data", "io"], ["models", "sampling", "training"], ["response"], ["structure"], ["report"]]
SAME_FLOOR = {("data", "io")}  # allowed within a floor: datasets may be read from files

root = pathlib.Path(__file__).resolve().parents[2] / "include"
floor = {folder: number for number, folders in enumerate(FLOORS) for folder in folders}
wrong = []
includes = {}
for header in sorted(root.glob("susc/*/*.hpp")):
    name, folder = str(header.relative_to(root)), header.parent.name
    includes[name] = re.findall(r'^\s*#\s*include\s*"([^"]+)"', header.read_text(), re.MULTILINE)
    if folder not in floor:
        wrong.append(f"{name}: folder {folder} stands on no floor; floors are {FLOORS}")
        continue
    for included in includes[name]:
        parts = included.split("/")
        if included == "susc/version.hpp":
            continue  # made by the build; included where it exists
        if len(parts) != 3 or parts[0] != "susc":
            wrong.append(f'{name}: write "susc/<folder>/<header>.hpp", not "{included}"')
        elif not (root / included).exists():
            wrong.append(f"{name}: {included} does not exist")
        elif parts[1] != folder and (folder, parts[1]) not in SAME_FLOOR and floor[parts[1]] >= floor[folder]:
            wrong.append(f"{name}: {folder}/ may not include {included}")


done = set()


def visit(name, path):
    if name in path:
        wrong.append("cycle: " + " -> ".join(path[path.index(name):] + [name]))
    elif name not in done:
        for included in includes.get(name, []):
            visit(included, path + [name])
        done.add(name)


for name in includes:
    visit(name, [])
sys.exit("\n".join(sorted(set(wrong))) or 0)
