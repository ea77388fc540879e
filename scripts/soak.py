"""soak.py PROGRAM [--minutes 60] [--seed 1]: structural_inference again and again, each pass killed at random times by
SIGKILL, SIGINT and SIGTERM and resumed, beside one process that samples all the time. Memory must stay flat, no file be
left behind, and every pass end with the bits of one that nothing happened to. Standard library only, Linux."""
import argparse
import os
import pathlib
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

arguments = argparse.ArgumentParser()
arguments.add_argument("program", type=pathlib.Path)
arguments.add_argument("--minutes", type=float, default=60)
arguments.add_argument("--seed", type=int, default=1, help="of the times and kinds of kills")
given = arguments.parse_args()
program = given.program.absolute()
random.seed(given.seed)
SETTINGS = ("--corpus synthetic --training-steps 300 --chains 4 --draws 100 --burn-in 20 --probe-tokens 512 "
            "--evaluation-tokens 512 --checkpoint-seconds 2").split()  # fmt: skip
# One process that samples the whole time: a draw every 100 steps, as what is kept of a draw is memory that must grow.
LONG = SETTINGS + "--components l0h0 --threads 1 --thinning 100".split()
LONG[LONG.index("--draws") + 1] = "1000000"
QUIET = 75  # seconds at most between kills
begin = time.monotonic()
wrong = []


def expect(condition, text):
    if not condition:
        print("WRONG:", text, flush=True)
        wrong.append(text)


def rss(pid):
    """KiB, or None where the process is gone."""
    try:
        for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
    except OSError:
        pass
    return None


def slope(points, blocks=10):
    """(KiB/hour, its standard error) of (seconds, KiB), by least squares through the means of consecutive blocks, which
    are nearly independent where neighbouring samples are not."""
    blocks = min(blocks, len(points))
    if blocks < 3:
        return None
    parts = [points[i * len(points) // blocks:(i + 1) * len(points) // blocks] for i in range(blocks)]
    x = [statistics.fmean(t for t, _ in part) / 3600 for part in parts]
    y = [statistics.fmean(r for _, r in part) for part in parts]
    mean_x, mean_y = statistics.fmean(x), statistics.fmean(y)
    spread = sum((a - mean_x) ** 2 for a in x)
    rise = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y)) / spread
    left = sum((b - mean_y - rise * (a - mean_x)) ** 2 for a, b in zip(x, y))
    return rise, (left / (blocks - 2) / spread) ** .5


def shown(estimate):
    return "too few to say" if estimate is None else f"{estimate[0]:+.0f} +- {estimate[1]:.0f} KiB/hour"


class process:
    """The program, with its memory sampled while it runs."""

    def __init__(self, output, settings, environment):
        self.began = time.monotonic()
        self.errors = tempfile.TemporaryFile("w+", dir=work)
        self.child = subprocess.Popen([program, *settings, "--output", output], env=environment,
                                      stdout=subprocess.DEVNULL, stderr=self.errors)  # fmt: skip
        self.memory = []
        self.sampler = threading.Thread(target=self.sample, daemon=True)
        self.sampler.start()

    def sample(self):
        while self.child.poll() is None:
            value = rss(self.child.pid)
            if value:
                self.memory.append((time.monotonic() - self.began, value))
            time.sleep(.5)

    def wait(self, seconds=None):
        """The exit code; None where it takes longer."""
        try:
            code = self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        self.sampler.join()
        return code

    def message(self):
        self.errors.seek(0)
        return self.errors.read().strip()


def arrays(folder):
    return {p.name: p.read_bytes() for p in folder.glob("*.npy")}


def listing(*folders):
    return sorted(str(p.relative_to(work)) for folder in folders for p in folder.rglob("*"))


with tempfile.TemporaryDirectory() as work:
    work = pathlib.Path(work)
    place, temporary = work / "place", work / "tmp"
    place.mkdir()
    temporary.mkdir()
    output = place / "out"
    environment = os.environ | {"TMPDIR": str(temporary)}
    whole = process(output, SETTINGS, environment)
    if whole.wait():
        sys.exit(f"the undisturbed run ended with {whole.child.returncode}: {whole.message()}")
    seconds = time.monotonic() - whole.began
    expected, files = arrays(output), listing(place, temporary)
    expect(len(expected) > 4, f"only {sorted(expected)} to compare")
    print(f"undisturbed: {seconds:.0f} s, training included; {len(files)} files; at most {max(r for _, r in whole.memory)} KiB",
          flush=True)

    long = process(work / "long", LONG, environment)
    kills = dict.fromkeys((signal.SIGKILL, signal.SIGINT, signal.SIGTERM), 0)
    passes, processes, peaks = 0, 0, []
    while time.monotonic() - begin < 60 * given.minutes:
        for name in expected:
            (output / name).unlink()
        peak = 0
        while True:
            run = process(output, SETTINGS + ["--threads", str(random.choice([1, 2, 3]))], environment)
            processes += 1
            more = time.monotonic() - begin < 60 * given.minutes
            # Often in the first second, where folders are made and chains are read.
            patience = random.choice([random.uniform(0, 1), random.uniform(0, QUIET)]) if more else None
            code = run.wait(patience)
            sent = None
            if code is None:
                sent = random.choice(list(kills))
                kills[sent] += 1
                run.child.send_signal(sent)
                code = run.wait()
            peak = max([peak, *(r for _, r in run.memory)])
            if code == 0:
                break
            expect(code == (-sent if sent else 0) or (code == 75 and sent in (signal.SIGINT, signal.SIGTERM)),
                   f"after {sent} ended with {code}: {run.message()}")
            expect(code != 75 or len(run.message().splitlines()) == 1, f"not one message: {run.message()}")
            if code > 0 and code != 75:
                break
        passes += 1
        peaks.append((time.monotonic() - begin, peak))
        expect(arrays(output) == expected, f"pass {passes}: other bits than the undisturbed run")
        expect(listing(place, temporary) == files, f"pass {passes}: {set(listing(place, temporary)) ^ set(files)}")
        print(f"{(time.monotonic() - begin) / 60:5.1f} min: pass {passes}, {processes} processes, "
              f"{sum(kills.values())} kills, at most {peak} KiB; the long one {long.memory[-1][1]} KiB", flush=True)
    expect(long.child.poll() is None, f"the long process ended with {long.child.poll()}: {long.message()}")
    long.child.send_signal(signal.SIGTERM)
    code = long.wait(QUIET)
    if code is None:
        long.child.kill()
        long.wait()
    expect(code == 75, f"the long process ended with {code}: {long.message()}")
    steady = [(t, r) for t, r in long.memory if t > min(120, long.memory[-1][0] / 2)]

    print(f"{passes} passes, {processes} processes, {sum(kills.values())} kills "
          f"({', '.join(f'{n} {s.name}' for s, n in kills.items())}) in {(time.monotonic() - begin) / 60:.0f} min")
    print(f"memory: highest of each pass {min(r for _, r in peaks)} to {max(r for _, r in peaks)} KiB, {shown(slope(peaks))}; "
          f"one process over {(steady[-1][0] - steady[0][0]) / 60:.0f} min {steady[0][1]} to {steady[-1][1]} KiB, "
          f"{shown(slope(steady))}")
    print(f"files: {'those of an undisturbed run, none else' if not any('pass' in w for w in wrong) else 'see above'}")
sys.exit("\n".join(wrong) or 0)
