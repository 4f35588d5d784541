# SPDX-License-Identifier: BSD-3-Clause
# Every target does all it needs on a machine with Python 3.11+, a C compiler and make.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --quiet --disable-pip-version-check

SOURCES   := $(shell find src_c cbn -type f \( -name '*.py*' -o -name '*.px*' -o -name '*.[ch]' -o -name py.typed -o -path '*/data/*' -o -path '*/templates/*' -o -path '*/completion/*' \) ! -path '*/__pycache__/*')
PACKAGING := pyproject.toml setup.py MANIFEST.in README.md

.PHONY: all run test test-c test-python test-fast test-arm64 test-arm64-c lint fuzz faults bench docs dist clean
all: run

# The recipes of the stamps below run whenever their inputs change.
$(VENV)/created:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "cbn needs Python 3.11 or newer: make PYTHON=python3.11")'
	@echo "environment in $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/installed: $(VENV)/created $(SOURCES) $(PACKAGING)
	@echo "building cbn (half a minute) ..."
	@rm -rf $(VENV)/wheel
	@$(PIP) wheel --no-deps --wheel-dir $(VENV)/wheel .
	@echo "installing cbn and what it needs ..."
	@$(PIP) uninstall --yes cbn 2>$(VENV)/uninstall.log
	@$(PIP) install --no-compile $(VENV)/wheel/cbn-*.whl
	@touch $@

$(VENV)/test-extras: $(VENV)/installed
	$(PIP) install "$$(echo $(VENV)/wheel/cbn-*.whl)[test]"
	touch $@

$(VENV)/lint-extras: $(VENV)/installed
	$(PIP) install "$$(echo $(VENV)/wheel/cbn-*.whl)[lint]"
	touch $@

$(VENV)/bench-extras: $(VENV)/installed benchmarks/requirements.txt
	$(PIP) install -r benchmarks/requirements.txt
	touch $@

$(VENV)/docs-extras: $(VENV)/installed
	$(PIP) install "$$(echo $(VENV)/wheel/cbn-*.whl)[docs]"
	touch $@

run: $(VENV)/installed
	$(BIN)/cbn-train --digit 2
	$(BIN)/cbn-sample --n 64
	@echo
	@echo "The picture is $(CURDIR)/samples.png"

test: test-c test-python

# C unit tests: optimized, without OpenMP, and under the address and undefined-behaviour sanitizers.
test-c:
	$(MAKE) --no-print-directory -j "$$(getconf _NPROCESSORS_ONLN)" -C tests/c

# A worker per core; the tests of a file stay together, because they share what is slow to make.
test-python: $(VENV)/test-extras
	$(BIN)/pytest -n auto --dist loadfile --no-loadscope-reorder

# The same engine on arm64, emulated on another machine: C tests, golden records, the engine beside its twin, old files. See
# .ci/arm64 for what it needs; a quarter of an hour. The C tests alone take half a minute.
test-arm64: test-arm64-c
	PYTHON=$(PYTHON) .ci/arm64 python

test-arm64-c:
	.ci/arm64 c

# Style and types; everything that is asked for is in pyproject.toml.
lint: $(VENV)/lint-extras
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

# Without the tests that are marked slow.
test-fast: $(VENV)/test-extras
	$(BIN)/pytest -n auto --dist loadfile --no-loadscope-reorder -m "not slow"

# Longer fuzzing of every reader, and of what files bring to the engine; docs/FAULTS.md has what it found.
# make fuzz EXAMPLES=1000 EXECUTIONS=500000 FIRST=0 COUNT=2000000
EXAMPLES   ?= 2000
EXECUTIONS ?= 20000
FIRST      ?= 0
COUNT      ?= 400000
fuzz: $(VENV)/test-extras
	CBN_FUZZ_EXAMPLES=$(EXAMPLES) $(BIN)/pytest tests/fuzz
	$(BIN)/python -W ignore tests/campaigns/mutated_files.py --executions $(EXECUTIONS) --first $(FIRST)
	$(BIN)/python -W ignore tests/campaigns/slowness.py
	$(MAKE) --no-print-directory -C tests/c fuzz COUNT=$(COUNT)

# Programs killed at random moments, two writers of one file, full disks.
KILLS ?= 200
faults: $(VENV)/test-extras
	$(BIN)/python -W ignore tests/campaigns/kills.py --kills $(KILLS)
	$(BIN)/python -W ignore tests/campaigns/killed_workers.py

# The documentation site, in build/docs/html; scripts of its gallery and notebooks run. A warning is an error, and so is a
# link inside of the site that leads nowhere, or a path of this machine on a page.
docs: $(VENV)/docs-extras
	rm -rf build/docs docs/_gallery
	$(BIN)/sphinx-build -q -W --keep-going -b html -d build/docs/doctrees docs build/docs/html
	$(BIN)/python docs/check_site.py build/docs/html
	@echo "The site is $(CURDIR)/build/docs/html/index.html"

# Measures everything that benchmarks/RESULTS.md shows, and writes that page.
bench: $(VENV)/bench-extras
	$(BIN)/python benchmarks/run.py
	$(BIN)/python benchmarks/page.py

# Source and wheel, checked, and the wheel used in an environment of its own.
dist: $(VENV)/created
	$(PIP) install build twine auditwheel
	rm -rf dist
	$(BIN)/python -m build --outdir dist .
	$(BIN)/twine check --strict dist/*
	test "$$(uname -s)" != Linux || $(BIN)/auditwheel show dist/*.whl
	rm -rf dist/trial && $(PYTHON) -m venv dist/trial
	dist/trial/bin/python -m pip --quiet --disable-pip-version-check install dist/cbn-*.whl
	cd dist/trial && bin/python $(CURDIR)/.github/try_wheel.py
	rm -rf dist/trial

clean:
	rm -rf $(VENV) build dist docs/_gallery *.egg-info
	$(MAKE) --no-print-directory -C tests/c clean
