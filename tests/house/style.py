"""The library does not print or end the process, measures time by steady clocks, prefixes its macros, and keeps its headers
short."""
import pathlib
import re
import statistics
import sys

BANNED = re.compile(r"\bstd::(cout|cerr|clog)\b|(?<![\w.>])(?:std::)?f?(?:printf|puts)\s*\("
                    r"|(?<![\w.>])(?:std::)?(?:_?exit|quick_exit|abort|terminate)\s*\(")
CLOCKS = re.compile(r"\bsystem_clock\b|\blast_write_time\b|(?<![\w.>])(?:std::)?(?:gettimeofday|clock_gettime|time)\s*\(")
MACRO = re.compile(r"^\s*#\s*define\s+(?!SUSC_)(\w+)")
MEDIAN, NINTH_DECILE, LONGEST = 150, 300, 600  # lines

root = pathlib.Path(__file__).resolve().parents[2]
wrong = []
lengths = {}
for header in sorted((root / "include/susc").rglob("*.hpp")):
    name = header.relative_to(root)
    lines = header.read_text().splitlines()
    lengths[name] = len(lines)
    if "#pragma once" not in lines:
        wrong.append(f"{name}: no #pragma once")
    for number, line in enumerate(lines, 1):
        code = re.sub(r'"(\\.|[^"\\])*"', '""', line).split("//")[0]
        if BANNED.search(code):
            wrong.append(f"{name}:{number}: the library neither prints nor ends the process: {line.strip()}")
        if CLOCKS.search(code):
            wrong.append(f"{name}:{number}: a clock that can be set back: {line.strip()}")
        if MACRO.search(code):
            wrong.append(f"{name}:{number}: macros begin with SUSC_: {line.strip()}")
ordered = sorted(lengths.values())
if statistics.median(ordered) > MEDIAN:
    wrong.append(f"the median header has {statistics.median(ordered)} lines, more than {MEDIAN}")
if ordered[9 * len(ordered) // 10] > NINTH_DECILE:
    wrong.append(f"a tenth of the headers have {ordered[9 * len(ordered) // 10]} lines or more, more than {NINTH_DECILE}")
wrong += [f"{name} has {length} lines, more than {LONGEST}" for name, length in lengths.items() if length > LONGEST]
sys.exit("\n".join(wrong) or 0)
