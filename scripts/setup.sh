#!/bin/sh
# Installs what building and testing moec needs and this machine lacks; says what before it does.
# Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#
#   scripts/setup.sh build    packages to build and run
#   scripts/setup.sh test     those, and a virtual environment in .venv for the Python tests
#   scripts/setup.sh torch    those, and one in .venv-torch with PyTorch, transformers and JAX too
set -eu
cd "$(dirname "$0")/.."

packages="cmake ninja-build ccache g++ clang-22 lld-22 libmlir-22-dev mlir-22-tools llvm-22-dev llvm-22-tools
          libeigen3-dev libxxhash-dev rapidjson-dev"
if [ "${1:-build}" != build ]; then
  packages="$packages libgtest-dev libclang-rt-22-dev binutils python3-venv python3-psutil pkg-config openmpi-bin mpich"
fi

missing=""
for package in $packages; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $package"
done
if [ -n "$missing" ]; then
  echo "setup: installing$missing"
  if [ "$(id -u)" = 0 ]; then
    sudo=""
  elif command -v sudo >/dev/null; then
    sudo="sudo"
  else
    echo "setup: error: these packages are missing and there is neither root nor sudo to install them:$missing" >&2
    exit 1
  fi
  $sudo apt-get update -qq
  # shellcheck disable=SC2086 # a list of packages
  DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends $missing >/dev/null
fi

if [ "${1:-build}" = test ]; then
  if ! cmp -s test/requirements.txt .venv/requirements.txt; then
    echo "setup: making .venv with what test/requirements.txt lists"
    python3 -m venv .venv
    .venv/bin/pip install -q --disable-pip-version-check -r test/requirements.txt
    cp test/requirements.txt .venv/requirements.txt
  fi
fi

if [ "${1:-build}" = torch ]; then
  if ! cat test/requirements.txt test/requirements-torch.txt | cmp -s - .venv-torch/requirements.txt; then
    echo "setup: making .venv-torch with what test/requirements.txt and test/requirements-torch.txt list"
    python3 -m venv .venv-torch
    # PyTorch first, so that nothing else takes another build of it.
    .venv-torch/bin/pip install -q --disable-pip-version-check "$(grep '^torch==' test/requirements-torch.txt)"
    .venv-torch/bin/pip install -q --disable-pip-version-check -r test/requirements.txt -r test/requirements-torch.txt
    cat test/requirements.txt test/requirements-torch.txt >.venv-torch/requirements.txt
  fi
fi
