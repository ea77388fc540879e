#!/bin/sh
# Builds the main example for this machine and runs it; arguments are passed on (default: --output results).
set -eu
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- --output results

scripts/install_dependencies.sh
[ -f build-demo/build.ninja ] || meson setup build-demo -Dnative=true -Dtests=false
meson compile -C build-demo structural_inference
exec build-demo/examples/structural_inference "$@"
