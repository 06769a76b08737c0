# What people type. Everything real happens in CMake and in scripts/.
#   make            builds the tools into build/bin
#   make demo       sets up, builds, and takes a small model from checkpoint to compressed artifact
#   make test       sets up, builds everything and runs all tests but the long ones
#   make test-torch  the Python package in PyTorch and JAX, which it installs (into .venv-torch)
#   make bench      builds, and writes bench/RESULTS.md: hours, and figures of this machine
#   make test-long  the long ones: thousands of random modules, sanitizers, the other compiler
.PHONY: all bench demo test test-torch test-long clean

all:
	@scripts/setup.sh build
	@cmake --preset release -DMOEC_TESTS=OFF >build-configure.log 2>&1 || { cat build-configure.log; exit 1; }
	@rm -f build-configure.log
	@cmake --build --preset release

bench: all
	@python3 bench/run.py

demo: all
	@scripts/demo.sh

test:
	@scripts/test.sh

test-torch:
	@scripts/test-torch.sh

test-long:
	@scripts/test-long.sh

clean:
	rm -rf build build-debug build-gcc build-asan build-fuzz demo-out
