"""resume.py PROGRAM [--kills N]: structural_inference, killed at random times and run again, ends with the bits of a run
that nothing happened to; signals, locks and other settings are answered as documented. Standard library only."""
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time

program = pathlib.Path(sys.argv[1]).absolute()
kills_wanted = int(sys.argv[sys.argv.index("--kills") + 1]) if "--kills" in sys.argv else 50
random.seed(1)
BITS = "*.npy"  # summary.json and the report hold times
wrong = []


def command(output, *more):
    small = ("--corpus synthetic --width 16 --layers 2 --heads 2 --training-steps 30 --chains 3 --draws 60 --burn-in 10 "
             "--probe-tokens 128 --evaluation-tokens 128 --checkpoint-seconds 0.1").split()  # fmt: skip
    settings = dict(zip(small[::2], small[1::2])) | {"--output": output} | dict(zip(more[::2], more[1::2]))
    return [program, *(word for pair in settings.items() for word in pair)]


def start(output, *more):
    return subprocess.Popen(command(output, *more), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def finish(output, *more):
    run = subprocess.run(command(output, *more), capture_output=True, text=True)
    if run.returncode:
        sys.exit(f"{' '.join(map(str, run.args))}\nended with {run.returncode}: {run.stderr}")


def arrays(folder):
    return {p.name: p.read_bytes() for p in pathlib.Path(folder).glob(BITS)}


def expect(condition, text):
    if not condition:
        wrong.append(text)


with tempfile.TemporaryDirectory() as work:
    work = pathlib.Path(work)
    begin = time.monotonic()
    finish(work / "whole")
    seconds = time.monotonic() - begin
    expected = arrays(work / "whole")
    expect(len(expected) > 4, f"only {sorted(expected)} to compare")
    expect(not (work / "whole/chains").exists(), "chains are left behind")

    kills = runs = 0
    while kills < kills_wanted:
        runs += 1
        output = work / f"killed{runs}"
        while True:
            process = start(output, "--threads", str(random.choice([1, 2, 3])))
            try:
                process.wait(random.uniform(.02, seconds / 2))
                break
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                kills += 1
        if process.returncode:
            sys.exit(f"after {kills} kills: {process.stderr.read()}")
        expect(arrays(output) == expected, f"{output.name}: other bits than the run that nothing happened to")
        expect(not (output / "chains").exists(), f"{output.name}: chains are left behind")
    print(f"{kills} kills in {runs} runs; a run takes {seconds:.1f} s")

    for sent in (signal.SIGINT, signal.SIGTERM):
        output = work / sent.name
        interrupted = 0
        for attempt in range(200):
            process = start(output)
            try:
                process.wait(random.uniform(.3, 1) * seconds)
            except subprocess.TimeoutExpired:
                process.send_signal(sent)
            message = process.communicate()[1]
            if process.returncode == 0:
                break
            interrupted += process.returncode == 75
            expect(process.returncode in (75, -sent), f"{sent.name}: ended with {process.returncode}: {message}")
        expect(arrays(output) == expected, f"{sent.name}: other bits")
        print(f"{sent.name}: stopped {interrupted} times")

    # Two at once; other settings.
    folder = work / "chains"
    first = start(work / "first", "--run-directory", folder, "--draws", "4000")
    while first.poll() is None and not (folder / "run").exists():
        time.sleep(.01)
    second = subprocess.run(command(work / "second", "--run-directory", folder, "--draws", "4000"), capture_output=True, text=True)
    expect(second.returncode == 2 and "another process is using it" in second.stderr, f"second: {second.stderr}")
    first.send_signal(signal.SIGTERM)
    message = first.communicate()[1]
    expect(first.returncode == 75 and str(folder) in message, f"first: {first.returncode} {message}")
    other = subprocess.run(command(work / "other", "--run-directory", folder, "--draws", "4000", "--n-beta", "31"),
                           capture_output=True, text=True)  # fmt: skip
    expect(other.returncode == 2 and "n_beta is 30 there, 31 here" in other.stderr, f"other: {other.stderr}")

    # A finished run gets more draws and another component.
    keep = ["--run-directory", work / "kept", "--all-weights", "same"]
    finish(work / "extended", *keep, "--components", "l0h0")
    finish(work / "extended", *keep, "--components", "l0h0,l1h1")
    finish(work / "direct", "--all-weights", "same", "--components", "l0h0,l1h1")
    expect(arrays(work / "extended") == arrays(work / "direct"), "a component that was added has other bits")
    finish(work / "extended", *keep, "--components", "l0h0,l1h1", "--draws", "100")
sys.exit("\n".join(wrong) or 0)
