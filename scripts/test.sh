#!/bin/sh
# Installs what is missing, builds, and runs the quick tests. Others, by `meson test -C build --suite NAME`:
# slow (long statistical tests and the table of oracles; CI runs it), seeds (training on three seeds), mutants.
set -eu
cd "$(dirname "$0")/.."

scripts/install_dependencies.sh
# Most of the time goes to the compiler: little optimisation is the fastest way through.
[ -f build/build.ninja ] || meson setup build -Doptimization=1
meson compile -C build
meson test -C build --no-rebuild --print-errorlogs
