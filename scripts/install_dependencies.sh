#!/bin/sh
# Installs the Debian packages that the build needs: install_dependencies.sh [ci]; `ci` adds what .ci/run needs, and in
# build-python what of that only PyPI has.
set -eu
cd "$(dirname "$0")/.."

packages="g++ meson ninja-build pkg-config python3 libeigen3-dev libxtensor-dev libxsimd-dev doctest-dev \
nlohmann-json3-dev libcli11-dev libsentencepiece-dev"
[ "${1:-}" != ci ] || packages="$packages chromium clang clang-format clang-tidy cmake doxygen libbenchmark-dev libceres-dev \
libclang-rt-dev libnetcdf-dev libopenmpi-dev libtorch-dev llvm openmpi-bin python3-netcdf4 python3-numpy \
python3-venv python3-xarray umap-learn valgrind"

# No quotes: one word a package.
install="apt-get install -y --no-install-recommends $(echo $packages)"
echo "Dependencies: $install"

if ! command -v dpkg >/dev/null; then
  echo "This is no Debian: install the equivalents of these packages; the build says which is missing."
  exit 0
fi
missing=
for package in $packages; do
  dpkg -s "$package" 2>/dev/null | grep -q '^Status: .* installed$' || missing="$missing $package"
done
if [ -z "$missing" ]; then
  echo "All installed."
elif [ "$(id -u)" -eq 0 ]; then
  echo "Missing:$missing"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -q
  $install
else
  echo "Missing:$missing. Run as root: apt-get update && $install" >&2
  exit 1
fi

if [ "${1:-}" = ci ] && [ ! -e build-python/complete ]; then
  # Debian's Python, which sees Debian's modules.
  if /usr/bin/python3 -m venv --clear --system-site-packages build-python &&
    build-python/bin/pip install -q --disable-pip-version-check tokenizers; then
    touch build-python/complete
  else
    echo "No tokenizers from PyPI: what tests them is skipped." >&2
  fi
fi
