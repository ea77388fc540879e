"""mpi_kill.py PROGRAM MPIRUN...: a run of test_mpi of which one rank is killed (SIGKILL) goes on from its run directory,
with another number of ranks or with none, to the bits of a run that nothing happened to. Standard library only."""
import pathlib
import shutil
import subprocess
import sys
import tempfile

program, mpirun = sys.argv[1], sys.argv[2:]
wrong = []


def run(ranks, *arguments):
    """With 0 ranks: without mpirun, by the sequential executor."""
    start = [*mpirun, "-n", str(ranks)] if ranks else []
    command = [*start, program, "run", *map(str, arguments), *([] if ranks else ["sequential"])]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


with tempfile.TemporaryDirectory() as work:
    work = pathlib.Path(work)
    whole = run(0, "-", work / "whole")
    if whole.returncode:
        sys.exit(whole.stderr)
    expected = (work / "whole").read_bytes()
    for ranks, killed in ((2, 0), (2, 1), (4, 2)):
        name = f"{ranks}-{killed}"
        died = run(ranks, work / name, work / f"{name}.out", "kill", killed)
        if died.returncode == 0 or (work / f"{name}.out").exists():
            wrong.append(f"{name}: ended with {died.returncode}, though rank {killed} was to be killed: {died.stderr}")
        kept = sorted(p.name for p in (work / name).glob("*.chain"))
        print(f"{ranks} ranks, {killed} killed: {died.returncode}; {len(kept)} chains kept")
        if not kept:
            wrong.append(f"{name}: no chain was kept")
        for resuming in (0, 1, 2, 4):
            folder, output = work / f"{name}-{resuming}", work / f"{name}-{resuming}.out"
            shutil.copytree(work / name, folder)
            before = {p: p.read_bytes() for p in folder.glob("*.chain")}
            resumed = run(resuming, folder, output)
            if resumed.returncode or output.read_bytes() != expected:
                wrong.append(f"{name}: resumed with {resuming} ranks, ends with {resumed.returncode}, "
                             f"or other bits: {resumed.stderr}")
            if list(folder.glob("*partial*")) or any(not p.exists() for p in before):
                wrong.append(f"{name}: resumed with {resuming} ranks: {sorted(p.name for p in folder.iterdir())}")
sys.exit("\n".join(wrong) or 0)
