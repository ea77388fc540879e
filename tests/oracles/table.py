"""The table of exact oracles in docs/method.md, made by the tests themselves.

Usage: table.py [--fix] PROGRAM...   runs the programs' "[oracle]" cases; --fix writes the table, else it must agree
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

root = pathlib.Path(__file__).resolve().parents[2]
document = root / "docs" / "method.md"
begin, end = "<!-- oracles -->\n", "<!-- end of oracles -->\n"
head = "| quantity | measured | error | exact | z |\n|---|---|---|---|---|\n"


def number(value, error):
    """Two digits of the error, and the value to the same decimal."""
    digits = max(0, 1 - int(f"{error:e}".split("e")[1])) if error > 0 else 3
    return f"{value:.{digits}f}" if abs(value) < 1e5 and digits < 8 else f"{value:.4e}"


def row(what, measured, error, exact):
    return (f"| {what} | {number(measured, error)} | {number(error, error)} | {number(exact, error / 10)} "
            f"| {(measured - exact) / error:+.1f} |\n")


def measure(programs):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "rows"
        for program in programs:
            subprocess.run([pathlib.Path(program).resolve(), "--test-case=*[oracle]*", "--no-intro"], check=True, cwd=root,
                           env={**os.environ, "SUSC_ORACLES": str(path)}, stdout=subprocess.DEVNULL)
        rows = [line.split("\t") for line in path.read_text().splitlines()]
    return {what: tuple(map(float, numbers)) for what, *numbers in rows}


fix = sys.argv[1:2] == ["--fix"]
rows = measure(sys.argv[2 if fix else 1:])
text = document.read_text()
before, rest = text.split(begin)
table, after = rest.split(end)
if fix:
    document.write_text(before + begin + head + "".join(row(what, *rows[what]) for what in sorted(rows)) + end + after)
    sys.exit()
wrong = []
written = {cells[0].strip(): cells[1:] for cells in (line.strip("|").split("|") for line in table.splitlines()[2:])}
for what in sorted(written.keys() | rows.keys()):
    if what not in rows or what not in written:
        wrong.append(f"'{what}' is only in " + ("the document" if what in written else "the tests"))
        continue
    measured, error, exact = rows[what]
    # Other compilers round otherwise, which chains forget; what they measure moves by far less than its error.
    if abs(float(written[what][0]) - measured) > error or abs(float(written[what][2]) - exact) > error:
        wrong.append(f"'{what}' is {measured} +- {error}, exact {exact}; the document says {written[what]}")
print("\n".join(wrong) or f"{len(rows)} oracles as documented")
if wrong:
    sys.exit(f"run: python3 tests/oracles/table.py --fix {' '.join(sys.argv[1:])}")
