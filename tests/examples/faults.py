"""faults.py PROGRAM: what can go wrong around a run of structural_inference, done to it on purpose. Each fault ends it with
one message and code 2, and damages nothing: once it is gone, the same command ends with the bits of an undisturbed run.
Disks that are full or read-only are small ones of the test's own, where it may mount them; without that, limits on the
size of a file, and folders without permission. Standard library only."""
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time

# In a name space of its own, where mounts are nobody else's and go when the test ends.
INSIDE = "SUSC_FAULTS_INSIDE"
if INSIDE not in os.environ:
    for name_space in (["unshare", "-m"], ["unshare", "-r", "-m"]):
        try:
            with tempfile.TemporaryDirectory() as place:
                mount = ["mount", "-t", "tmpfs", "none", place]
                if subprocess.run([*name_space, *mount], capture_output=True).returncode:
                    continue
        except OSError:
            break
        os.execvpe("unshare", [*name_space, sys.executable, *sys.argv], os.environ | {INSIDE: "mounts"})

from small_run import arrays, expect, finish, program, start, wrong

may_mount = INSIDE in os.environ
LONG = ["--draws", "200"]  # seconds, so that there is a middle
faults = 0


def refused(what, process, *words, code=2):
    """The process has ended with `code` and one line that has all words."""
    global faults
    faults += 1
    message = process.communicate(timeout=120)[1].strip()
    expect(process.returncode == code, f"{what}: ended with {process.returncode}: {message}")
    expect(message.count("\n") == 0 and message.startswith("structural_inference: "), f"{what}: not one message: {message}")
    for word in words:
        expect(word in message, f"{what}: no '{word}' in: {message}")


def sampling(process, output, chains=None):
    """Waits until chains of the run have been kept."""
    end = time.monotonic() + 120
    while time.monotonic() < end and process.poll() is None:
        if any((chains or output / "chains").glob("*.chain")):
            return
        time.sleep(.005)
    expect(False, f"{output}: over before chains were kept: {process.poll()}")


def recovers(what, output, *more):
    finish(output, *more)
    expect(arrays(output) == expected, f"{what}: other bits than the undisturbed run")
    left = sorted(str(p.relative_to(output)) for p in output.rglob("*"))
    expect(left == files, f"{what}: files {set(left) ^ set(files)}")
    beside = [p.name for p in output.parent.glob(output.name + ".*")]
    expect(not beside, f"{what}: left beside: {beside}")


def mount(kind, place, options):
    subprocess.run(["mount", *kind, "-o", options, place], check=True)


with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as work:
    work = pathlib.Path(work)
    finish(work / "whole", *LONG)
    expected = arrays(work / "whole")
    files = sorted(str(p.relative_to(work / "whole")) for p in (work / "whole").rglob("*"))
    expect(len(expected) > 4, f"only {sorted(expected)} to compare")

    # A file may not grow beyond so many bytes, which is answered like a full disk: the model, a chain or a result.
    def limited(limit):
        def child():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        return child

    largest = max(p.stat().st_size for p in (work / "whole").rglob("*"))
    for limit in (100, largest // 50, largest // 10, largest // 2, largest - 1):
        output = work / f"limit{limit}"
        refused(output.name, start(output, *LONG, preexec_fn=limited(limit), restore_signals=False), "File too large")
        recovers(output.name, output, *LONG)

    # The disk fills up, or becomes read-only, while the run goes on.
    if may_mount:
        disk = work / "disk"
        disk.mkdir()
        mount(["-t", "tmpfs", "none"], disk, "size=64m")
        process = start(disk / "full", *LONG)
        sampling(process, disk / "full")
        with open(disk / "filler", "wb", buffering=0) as filler:
            try:
                while filler.write(bytes(4096)):
                    pass
            except OSError:
                pass
        refused("disk full", process, "No space left on device")
        refused("disk still full", start(disk / "full", *LONG), "No space left on device")
        (disk / "filler").unlink()
        recovers("disk full", disk / "full", *LONG)

        process = start(disk / "read_only", *LONG)
        sampling(process, disk / "read_only")
        mount(["--bind", disk / "read_only"], disk / "read_only", "rw")
        mount([], disk / "read_only", "remount,bind,ro")
        refused("disk read-only", process, "Read-only file system")
        refused("disk still read-only", start(disk / "read_only", *LONG), "Read-only file system")
        subprocess.run(["umount", disk / "read_only"], check=True)
        recovers("disk read-only", disk / "read_only", *LONG)
        subprocess.run(["umount", disk], check=True)
    if os.geteuid() != 0:
        process = start(work / "denied", *LONG)
        sampling(process, work / "denied")
        (work / "denied/chains").chmod(0o555)
        refused("no permission", process, "Permission denied")
        (work / "denied/chains").chmod(0o755)
        recovers("no permission", work / "denied", *LONG)

    # The folder of the chains, or what else there is, goes away; another process makes it anew.
    for gone, anew in (("chains", False), ("chains", True), ("", False)):
        output = work / f"gone{gone}{anew}"
        process = start(output, *LONG)
        sampling(process, output)
        (output / gone).rename(work / "elsewhere")
        shutil.rmtree(work / "elsewhere")
        if anew:
            (output / gone).mkdir()
            (output / gone / "lock").touch()
        refused(f"{output.name}: folder removed", process, "removed or replaced while the run went on")
        recovers(f"{output.name}: folder removed", output, *LONG)
    for there in (False, True):
        output = work / f"unstaged{there}"
        if there:
            output.mkdir()
        process = start(output, *LONG)
        sampling(process, output)
        for staged in (*output.glob(".partial-*"), *work.glob(output.name + ".partial-*")):
            shutil.rmtree(staged)
        refused("results removed before they were written", process, "No such file or directory")
        expect(any((output / "chains").glob("*.chain")), "results removed: no chains are kept")
        recovers("results removed before they were written", output, *LONG)

    # Files of the future, and of the first day of the clock.
    for year in (1970, 2100):
        output = work / f"year{year}"
        process = start(output, *LONG)
        sampling(process, output)
        process.send_signal(signal.SIGTERM)
        refused("stopped", process, "chains", code=75)
        for path in (output, *output.rglob("*")):
            os.utime(path, ((year - 1970) * 31556952,) * 2)
        recovers(f"files of {year}", output, *LONG)

    # What a killed process was about to write is removed by the next one, that of a living one is not.
    for there in (False, True):
        output = work / f"killed{there}"
        if there:
            output.mkdir()
        def staged():
            return [*output.glob(".partial-*"), *work.glob(output.name + ".partial-*")]
        process = start(output, *LONG)
        sampling(process, output)
        process.kill()
        process.communicate()
        expect(len(staged()) == 1, f"killed: {staged()}")
        shutil.rmtree(output / "chains")  # so that the next one has as long a way to go
        process = start(output, *LONG)
        sampling(process, output)
        mine = staged()
        expect(len(mine) == 1 and mine[0].name.endswith(f"-{process.pid}"), f"of a killed process: {mine}")
        process.send_signal(signal.SIGSTOP)  # lives, and is not done meanwhile
        refused("two at once", start(output, *LONG), "another process is using it")
        expect(staged() == mine, f"of a living process: {staged()} instead of {mine}")
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGCONT)
        refused("stopped", process, "chains", code=75)
        recovers("killed", output, *LONG)

    # No more memory than so many KiB: from too little to load the program to enough, then closer to what is just enough.
    def runs_in(limit, told):
        bytes = 1024 * limit
        output = work / f"memory{limit}"
        process = start(output, *LONG, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (bytes, bytes)))
        message = process.communicate()[1].strip()
        if process.returncode == 0:
            expect(arrays(output) == expected, f"{limit} KiB of memory: other bits")
            return True
        if process.returncode == 127 or (process.returncode == -signal.SIGSEGV and not told):
            return False  # the loader's matter
        told.append(limit)
        expect(process.returncode == 2 and message.count("\n") == 0 and "not enough memory" in message,
               f"{limit} KiB of memory: ended with {process.returncode}: {message}")
        if len(told) % 4 == 1:
            recovers(f"{limit} KiB of memory", output, *LONG)
        return False

    told = []
    enough = 6000
    while not runs_in(enough, told):
        too_little, enough = enough, enough * 9 // 8
    while enough - too_little > 200:
        middle = (too_little + enough) // 2
        too_little, enough = (too_little, middle) if runs_in(middle, told) else (middle, enough)
    expect(len(told) >= 5, f"only {told} KiB of memory were too little")
    print(f"{faults} faults, {len(told)} runs out of memory, {enough} KiB are enough; disks were {'' if may_mount else 'not '}mounted")
sys.exit("\n".join(wrong) or 0)
