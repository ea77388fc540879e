"""expected_output.py EXPECTED PROGRAM [ARGUMENT...]: the program succeeds and prints exactly what the file holds."""
import difflib
import pathlib
import subprocess
import sys

expected = pathlib.Path(sys.argv[1]).read_text()
run = subprocess.run(sys.argv[2:], stdout=subprocess.PIPE, text=True)
sys.stdout.writelines(difflib.unified_diff(expected.splitlines(True), run.stdout.splitlines(True), "expected", "printed"))
sys.exit(run.returncode or run.stdout != expected)
