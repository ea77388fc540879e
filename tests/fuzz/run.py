"""Runs fuzz targets, one after the other, each from fresh seeds; a finding fails, and its input is kept.

Usage: run.py SECONDS SEEDS_PROGRAM TARGET_PROGRAM...   (all built by Meson, see meson.build here)
"""
import os
import pathlib
import subprocess
import sys
import tempfile

LONGEST = 4096  # bytes of an input
MEMORY = 1024   # MiB of a process; of one allocation an eighth
seconds, seeds, targets = sys.argv[1], sys.argv[2], sys.argv[3:]
here = pathlib.Path(__file__).resolve().parent
memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # the targets write and read thousands of files a second
wrong = []
with tempfile.TemporaryDirectory(dir=memory) as name:
    folder = pathlib.Path(name)
    subprocess.run([seeds, folder], check=True)
    for target in targets:
        what = pathlib.Path(target).name.removeprefix("fuzz_")
        words = here / f"{what}.dict"
        kept = pathlib.Path.cwd() / f"finding-{what}-"
        done = subprocess.run([target, f"-max_total_time={seconds}", f"-max_len={LONGEST}", "-timeout=10",
                               f"-rss_limit_mb={MEMORY}", f"-malloc_limit_mb={MEMORY // 8}", f"-artifact_prefix={kept}",
                               *([f"-dict={words}"] if words.exists() else []), "-print_final_stats=1",
                               folder / what], env=os.environ | {"TMPDIR": name}, capture_output=True, text=True)
        said = done.stderr.splitlines()
        print(f"{what}: " + "; ".join(line.removeprefix("stat::") for line in said
                                      if line.startswith(("stat::number", "stat::peak", "Done"))))
        if done.returncode != 0:
            wrong.append(f"{what}: " + "\n".join(said[-60:]))
sys.exit("\n".join(wrong) or 0)
