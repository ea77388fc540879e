"""resume.py PROGRAM [--kills N]: structural_inference, killed at random times and run again, ends with the bits of a run
that nothing happened to; signals, locks and other settings are answered as documented. Standard library only."""
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time

from small_run import arrays, command, expect, finish, start, wrong

kills_wanted = int(sys.argv[sys.argv.index("--kills") + 1]) if "--kills" in sys.argv else 50
random.seed(1)

with tempfile.TemporaryDirectory() as work:
    work = pathlib.Path(work)
    begin = time.monotonic()
    finish(work / "whole")
    seconds = time.monotonic() - begin
    expected = arrays(work / "whole")
    expect(len(expected) > 4, f"only {sorted(expected)} to compare")
    expect(len(list((work / "whole/snapshots").glob("*.safetensors"))) == 6, "not 6 snapshots")
    expect(not (work / "whole/chains").exists(), "chains are left behind")
    expect(not (work / "whole/training").exists(), "the training is left behind")

    kills = runs = in_training = 0
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
                in_training += (output / "training").exists()
        if process.returncode:
            sys.exit(f"after {kills} kills: {process.stderr.read()}")
        expect(arrays(output) == expected, f"{output.name}: other bits than the run that nothing happened to")
        for left in ("chains", "training"):
            expect(not (output / left).exists(), f"{output.name}: {left} left behind")
    print(f"{kills} kills in {runs} runs, {in_training} while training; a run takes {seconds:.1f} s")
    expect(in_training > 0, "no kill while training")

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

    # A training that was stopped is not gone on with by other settings.
    output = work / "training"
    process = start(output, "--training-steps", "20000")
    while process.poll() is None and not (output / "training/run").exists():
        time.sleep(.01)
    process.send_signal(signal.SIGTERM)
    message = process.communicate()[1]
    expect(process.returncode == 75 and str(output / "training") in message, f"training: {process.returncode} {message}")
    other = subprocess.run(command(output, "--training-steps", "20000", "--learning-rate", "0.02"), capture_output=True, text=True)
    expect(other.returncode == 2 and "learning_rate is 0.01 there, 0.02 here" in other.stderr, f"training: {other.stderr}")

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
    same = ["--localization", "300", "--all-weights", "same"]
    keep = ["--run-directory", work / "kept", *same]
    finish(work / "extended", *keep, "--components", "l0h0")
    finish(work / "extended", *keep, "--components", "l0h0,l1h1")
    finish(work / "direct", *same, "--components", "l0h0,l1h1")
    expect(arrays(work / "extended") == arrays(work / "direct"), "a component that was added has other bits")
    finish(work / "extended", *keep, "--components", "l0h0,l1h1", "--draws", "100")
    # What a pilot run chooses for a component does not depend on the others.
    finish(work / "chosen", "--run-directory", work / "pilot", "--components", "l0h0")
    finish(work / "chosen", "--run-directory", work / "pilot", "--components", "l0h0,l1h1")
sys.exit("\n".join(wrong) or 0)
