"""structural_inference on a small setting, shared by the tests that kill it, stop it, or take something from it."""
import pathlib
import subprocess
import sys

program = pathlib.Path(sys.argv[1]).absolute()
BITS = ["*.npy", "model.safetensors", "snapshots/*.safetensors"]  # summary.json and the report hold times
wrong = []


def command(output, *more):
    small = ("--corpus synthetic --width 16 --layers 2 --heads 2 --training-steps 150 --snapshots 6 --chains 3 --draws 60 "
             "--burn-in 10 --probe-tokens 128 --evaluation-tokens 128 --checkpoint-seconds 0.1").split()  # fmt: skip
    settings = dict(zip(small[::2], small[1::2])) | {"--output": output} | dict(zip(more[::2], more[1::2]))
    return [program, *(word for pair in settings.items() for word in pair)]


def start(output, *more, **how):
    return subprocess.Popen(command(output, *more), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, **how)


def finish(output, *more):
    run = subprocess.run(command(output, *more), capture_output=True, text=True)
    if run.returncode:
        sys.exit(f"{' '.join(map(str, run.args))}\nended with {run.returncode}: {run.stderr}")


def arrays(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for bits in BITS for p in pathlib.Path(folder).glob(bits)}


def expect(condition, text):
    if not condition:
        wrong.append(text)
