# SPDX-License-Identifier: MIT
#
# What a person types. Each target installs what it lacks, builds what changed, shows progress, and on failure says what to
# do next. PYTHON=... chooses the interpreter (CPython 3.11 or newer); everything made lands in build/.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help

PYTHON ?= python3
EVENLOOP_WINDOWS_PYTHON ?= 3.13
EVENLOOP_BUILD_DIR ?= $(CURDIR)/build
# Arguments for pytest and ctest, for example: make test-python PYTEST_ARGS="-k timers"
PYTEST_ARGS ?=
CTEST_ARGS ?=
BENCH_ARGS ?=
# For make cpython-tests: another loop to compare with, and more arguments of tests/cpython/run.py.
LOOP ?= evenloop
CPYTHON_TESTS_ARGS ?=
STRESS_ARGS ?=
FUZZ_ARGS ?=
LOCK_MODEL_SECONDS ?= 60
LOCK_MODEL_ARGS ?=
VERSIONS ?=
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
export PYTHON EVENLOOP_WINDOWS_PYTHON EVENLOOP_BUILD_DIR

B := $(EVENLOOP_BUILD_DIR)
# Evaluated when used: before the bootstrap there may be no Python to ask.
VENV = $$(tools/venv path)
# What a run of CPython's tests leaves: a loop's name may hold a colon, a file's on Windows may not.
CPYTHON_RESULTS = $(B)/cpython-tests/$(subst :,-,$(LOOP))
WINDOWS_C = $(B)/windows-x86_64
PYTEST_OF = -m pytest $(1) -p no:cacheprovider -n $(JOBS)
PYTEST = $(call PYTEST_OF,tests/python tests/programs tests/conformance)

.PHONY: help
help: ## this list
	@echo "make TARGET [PYTHON=python3.13] [EVENLOOP_WINDOWS_PYTHON=3.11]"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-22s %s\n", $$1, $$2 }'

# Progress goes to standard error: what `make run` and `make run-windows` print is the tour's, line for line.
.PHONY: run
run: ## build what is needed and run the tour, a real asyncio program
	@tools/bootstrap build >&2
	@tools/venv package >&2
	@$(VENV)/bin/python -m evenloop examples/tour.py

.PHONY: run-windows
run-windows: ## the same tour in the Windows Python, under Wine
	@$(MAKE) windows >&2
	@PYTHONUTF8=1 PYTHONUNBUFFERED=1 tools/winpython -m evenloop examples/tour.py </dev/null | tr -d '\r'

.PHONY: test
test: ## the whole suite: C and Python, Linux and Windows, then under the sanitizers
	@tools/bootstrap build test windows
	@tools/suite test-c test-python windows-test asan-c asan-python

.PHONY: test-c
test-c: bootstrap-test ## the C tests (CMocka)
	@tools/step "configuring the C tests" cmake --preset debug -B $(B)/debug
	@tools/step "building the C tests" cmake --build $(B)/debug
	@ctest --test-dir $(B)/debug --no-tests=error --output-on-failure --timeout 120 $(CTEST_ARGS)

.PHONY: test-python
test-python: bootstrap-build ## the Python tests (pytest)
	@tools/venv test
	@$(VENV)/bin/python $(PYTEST) $(PYTEST_ARGS)

.PHONY: windows
windows: bootstrap-windows tools ## a Windows Python with the package in it, ready for tools/winpython
	@$(B)/venv-tools/bin/python tools/build-windows

# Of the kit's own tests those that look at processes: the rest is of Python alone, and `make conformance` runs the kit there.
.PHONY: windows-test
windows-test: windows ## the C tests and the same Python tests, under Wine
	@EVENLOOP_WIN_TIMEOUT=120 ctest --test-dir $(WINDOWS_C) --no-tests=error --output-on-failure --timeout 150 \
	    $(CTEST_ARGS)
	@PYTHONUTF8=1 $(B)/venv-tools/bin/python tools/pytest-by-file --jobs $(JOBS) tests/python tests/programs \
	    tests/conformance/test_verdicts.py -- tools/winpython $(PYTEST_ARGS)

.PHONY: cpython-tests
cpython-tests: bootstrap-build ## CPython's own asyncio tests, unmodified, on evenloop (docs/cpython-tests.md)
	@tools/bootstrap cpython
	@tools/venv test
	@$(VENV)/bin/python -m pytest tests/cpython -p no:cacheprovider -n $(JOBS) $(PYTEST_ARGS)
	@$(if $(filter uvloop,$(LOOP)),tools/venv bench)
	@mkdir -p $(B)/cpython-tests
	@$$(tools/venv path $(if $(filter uvloop,$(LOOP)),bench))/bin/python tests/cpython/run.py --loop $(LOOP) --jobs $(JOBS) \
	    --json $(CPYTHON_RESULTS).json --junit $(CPYTHON_RESULTS).xml $(CPYTHON_TESTS_ARGS)

# 3.14 and 3.15 come from Debian's unstable distribution, in a folder under build/: a few minutes and 1.5 GB the first time.
.PHONY: cpython-tests-all
cpython-tests-all: bootstrap-build ## the same tests on every CPython, VERSIONS="3.11 3.12 3.13 3.14 3.15"
	@LOOP=$(LOOP) JOBS=$(JOBS) CPYTHON_TESTS_ARGS="$(CPYTHON_TESTS_ARGS)" tools/cpython-tests-all $(VERSIONS)

# 10,000 of each kind; STRESS_ARGS="--rounds 500 pipes" for less.
.PHONY: stress
stress: bootstrap-build ## make and drop ten thousand of everything: memory and descriptors stay flat
	@tools/venv test
	@$(VENV)/bin/python tests/stress/flat.py $(STRESS_ARGS)

.PHONY: fuzz
fuzz: bootstrap-build ## odd addresses and descriptors, beside the stock loop: FUZZ_ARGS="--examples 100000"
	@tools/venv test
	@$(VENV)/bin/python tests/fuzz/addresses.py $(FUZZ_ARGS)

.PHONY: freethreading-test
freethreading-test: bootstrap-build ## our tests, CPython's and the thread sanitizer on a CPython without a GIL, built once
	@JOBS=$(JOBS) CPYTHON_TESTS_ARGS="$(CPYTHON_TESTS_ARGS)" PYTEST_ARGS="$(PYTEST_ARGS)" tools/freethreading-test

.PHONY: cpython-tests-windows
cpython-tests-windows: windows ## the same tests of the Windows Python, under Wine
	@mkdir -p $(B)/cpython-tests
	@EVENLOOP_WIN_TIMEOUT=3600 PYTHONUTF8=1 tools/winpython tests/cpython/run.py --loop $(LOOP) --jobs $(JOBS) \
	    --baseline tests/cpython/baseline-windows-$(EVENLOOP_WINDOWS_PYTHON).txt \
	    --json $(CPYTHON_RESULTS)-windows-$(EVENLOOP_WINDOWS_PYTHON).json \
	    --junit $(CPYTHON_RESULTS)-windows-$(EVENLOOP_WINDOWS_PYTHON).xml \
	    $(CPYTHON_TESTS_ARGS) </dev/null | sed -u 's/\r//g'

.PHONY: conformance
conformance: windows bootstrap-test ## the conformance kit on evenloop and evenshim, on Linux and Windows, compared
	@tools/venv test
	@tools/step "configuring the C tests" cmake --preset debug -B $(B)/debug
	@tools/step "building evenshim-conformance" cmake --build $(B)/debug --target evenshim_conformance
	@JOBS=$(JOBS) tools/conformance check

# Winloop's wheel is for Windows and comes here only to be compared with.
.PHONY: matrix
matrix: windows bootstrap-test ## the kit on every loop that can be had, and docs/conformance-matrix.md
	@tools/venv test
	@tools/venv bench
	@tools/step "configuring the C tests" cmake --preset debug -B $(B)/debug
	@tools/step "building evenshim-conformance" cmake --build $(B)/debug --target evenshim_conformance
	@tools/step "installing Winloop for Windows" $(B)/venv-tools/bin/python -m pip --disable-pip-version-check install \
	    --no-deps --platform win_amd64 --python-version $(EVENLOOP_WINDOWS_PYTHON) --only-binary :all: --upgrade \
	    --target $(B)/winloop winloop
	@JOBS=$(JOBS) tools/conformance matrix

.PHONY: asan-c
asan-c: bootstrap-test ## the C tests under the address and undefined-behaviour sanitizers
	@tools/step "configuring the C tests for the sanitizers" cmake --preset asan -B $(B)/asan
	@tools/step "building the C tests for the sanitizers" cmake --build $(B)/asan
	@UBSAN_OPTIONS=print_stacktrace=1 ASAN_OPTIONS=detect_leaks=1:detect_stack_use_after_return=1 \
	    ctest --test-dir $(B)/asan --no-tests=error --output-on-failure --timeout 240 $(CTEST_ARGS)

# Not here: the kit's own tests, which are of Python alone, and a hundred sub-interpreters, nor the tables of wrong arguments: those take many minutes there.
.PHONY: asan-python
asan-python: bootstrap-build ## the Python tests under the same sanitizers
	@tools/venv test
	@echo "==> building evenloop for the sanitizers"
	@tools/asan-python $(call PYTEST_OF,tests/python tests/programs) -p pytest_leaks -o timeout=240 \
	    -k "not a_hundred_subinterpreters" --ignore-glob "*/test_wrong_arguments*.py" $(PYTEST_ARGS)

.PHONY: tsan-c
tsan-c: bootstrap-test ## the C tests under the thread sanitizer
	@tools/step "configuring the C tests for the thread sanitizer" cmake --preset tsan -B $(B)/tsan
	@tools/step "building the C tests for the thread sanitizer" cmake --build $(B)/tsan
	@ctest --test-dir $(B)/tsan --no-tests=error --output-on-failure --timeout 240 $(CTEST_ARGS)

.PHONY: lock-protocol
lock-protocol: bootstrap-build ## search the model of the lock protocol with Spin: exclusion, deadlock, progress
	@tools/bootstrap model
	@$(PYTHON) tests/model/check.py

# Ten minutes: make lock-model LOCK_MODEL_SECONDS=600. LOCK_MODEL_ARGS="--seed N" repeats the choices of a run.
.PHONY: lock-model
lock-model: bootstrap-test ## 12 processes at random on evenshim's locks, killed at random: is every history right?
	@tools/step "configuring the C tests" cmake --preset release -B $(B)/lock-model -DEVENLOOP_BUILD_ENGINE=OFF
	@tools/step "building the lock model" cmake --build $(B)/lock-model --target lock_model
	@$(B)/lock-model/tests/stress/lock-model --seconds $(LOCK_MODEL_SECONDS) $(LOCK_MODEL_ARGS)

.PHONY: lock-model-windows
lock-model-windows: windows ## the same for Windows, under Wine
	@EVENLOOP_WIN_TIMEOUT=$$(($(LOCK_MODEL_SECONDS) + 120)) tools/winrun $(WINDOWS_C)/tests/stress/lock-model.exe \
	    --seconds $(LOCK_MODEL_SECONDS) --slow 5 $(LOCK_MODEL_ARGS) </dev/null

.PHONY: bench
bench: bootstrap-build ## compare with a C server on libuv, asyncio and uvloop
	@tools/venv bench
	@$(MAKE) bench-programs
	@$$(tools/venv path bench)/bin/python bench/run.py --bin $(B)/bench/bench $(BENCH_ARGS)

.PHONY: bench-test
bench-test: bootstrap-build ## whether the benchmarks measure what they say
	@tools/venv test
	@$(MAKE) bench-programs
	@EVENLOOP_BENCH_BIN=$(B)/bench/bench $(VENV)/bin/python -m pytest bench -p no:cacheprovider \
	    -n $(JOBS) $(PYTEST_ARGS)

# BENCH_ARGS="--page docs/locks.md" puts the tables there; --only c or python makes one of the two.
.PHONY: bench-locks
bench-locks: bootstrap-build ## compare file locks: evenloop, flock(2), polling, filelock, portalocker, fasteners
	@tools/venv bench
	@$(MAKE) bench-programs
	@$$(tools/venv path bench)/bin/python bench/locks.py --bin $(B)/bench/bench $(BENCH_ARGS)

.PHONY: bench-programs
bench-programs:
	@tools/step "configuring the benchmark programs" cmake -S . -B $(B)/bench -G Ninja -DCMAKE_BUILD_TYPE=Release \
	    -DEVENLOOP_BUILD_BENCH=ON
	@tools/step "building the benchmark programs" cmake --build $(B)/bench --target bench

.PHONY: lint
lint: tools ## ruff, mypy, clang-format, and whether the pages of `make docs` are fresh
	@$(B)/venv-tools/bin/ruff check .
	@$(B)/venv-tools/bin/mypy
	@git ls-files '*.c' '*.h' | xargs $(B)/venv-tools/bin/clang-format --dry-run --Werror
	@$(B)/venv-tools/bin/python tools/make-docs --check
	@echo "lint: clean"

.PHONY: docs
docs: tools ## write the pages that are made from tests: docs/differences.md, docs/from-uvloop.md
	@$(B)/venv-tools/bin/python tools/make-docs

.PHONY: cross-check
cross-check: tools bootstrap-build ## compile for Windows ARM64 and macOS ARM64
	@for system in windows-arm64 macos-arm64; do \
	    tools/step "configuring for $$system" cmake --preset $$system -B $(B)/$$system; \
	    tools/step "compiling for $$system" cmake --build $(B)/$$system; \
	done
	@echo "cross-check: both compile"

.PHONY: musl-test
musl-test: tools bootstrap-build ## evenshim's tests with musl for a C library
	@tools/step "configuring for musl" cmake --preset linux-musl -B $(B)/linux-musl
	@tools/step "compiling for musl" cmake --build $(B)/linux-musl
	@ctest --test-dir $(B)/linux-musl -R 'shim\.test_' --no-tests=error --output-on-failure --timeout 120

.PHONY: tools
tools: bootstrap-build ## the tools environment: zig, ruff, mypy, clang-format
	@tools/venv tools

.PHONY: bootstrap-build bootstrap-test bootstrap-windows
bootstrap-build:
	@tools/bootstrap build
bootstrap-test:
	@tools/bootstrap build test
bootstrap-windows:
	@tools/bootstrap build test windows

.PHONY: clean
clean: ## remove build/ and end its Wine server
	@if [ -d $(B)/wine ] && command -v wineserver >/dev/null; then WINEPREFIX=$(B)/wine wineserver -k || true; fi
	@rm -rf $(B)
