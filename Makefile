# The commands of this project. Needs make and Python 3.11 or newer with venv, nothing else.
# A virtual environment is made in .venv once; it is brought up to date when pyproject.toml or constraints.txt change.

PYTHON ?= python3
VENV ?= .venv
OUT ?= out
PIP_VERSION := 26.3

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
BENCHMARKS := $(shell grep -l __main__ benchmarks/*.py 2>/dev/null)

# One thread a process: the tests run in two processes and start processes of their own.
ONE_THREAD := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1
FLOORS_COVERED := src/robust_select/core/*,src/robust_select/stats/*,src/robust_select/select/*

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test check bench docs faults fuzz oldest newest release-check clean

help:
	@echo "make demo    which of two dozen models of handwritten digits is the most robust? Ends in $(OUT)/digits.html"
	@echo "make test    linters, types, floors, and all tests with coverage"
	@echo "make check   linters, types and floors only"
	@echo "make bench   every script of benchmarks/, one after the other"
	@echo "make docs    the documentation, into site/"
	@echo "make faults  studies that are killed, interrupted and robbed of their disk; fuzz: random input for every reader"
	@echo "make oldest  tests of the core with the oldest allowed versions (newest: with the newest)"
	@echo "make release-check   wheel and sdist, installed where nothing else is; every command of the README"
	@echo "make clean   remove what the commands above have made: $(VENV)*, $(OUT), site, dist and caches"
	@echo
	@echo "PYTHON=python3.12 chooses the interpreter, VENV=DIR another environment."

# The stamps hang on each other in a row, so that under make -j only one pip at a time works on the environment.
$(VENV)/.stamp-pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "expected Python 3.11 or newer, came PYTHON=$(PYTHON), which is" \
	    "$$($(PYTHON) --version 2>/dev/null || echo not there): make PYTHON=python3.11 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check pip==$(PIP_VERSION)
	@touch $@

$(VENV)/.stamp-demo: $(VENV)/.stamp-pip pyproject.toml constraints.txt src/robust_select/core/version.py
	$(PIP) -e '.[demo]'
	@touch $@

$(VENV)/.stamp-test: $(VENV)/.stamp-demo
	$(PIP) --group test
	@touch $@

$(VENV)/.stamp-docs: $(VENV)/.stamp-test
	$(PIP) --group docs
	@touch $@

demo: $(VENV)/.stamp-demo
	@mkdir -p $(OUT)
	$(BIN)/robust-select demo digits --html $(OUT)/digits.html --ledger $(OUT)/digits.db
	@echo "Look at the page: $(OUT)/digits.html"

check: $(VENV)/.stamp-test
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

test: check $(VENV)/.stamp-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict --site-dir site
	$(ONE_THREAD) $(BIN)/pytest -n 2 --dist worksteal --cov --cov-report= --durations=10
	$(BIN)/coverage report
	@echo "core, stats and select, at least 95 %:"
	$(BIN)/coverage report --include='$(FLOORS_COVERED)' --fail-under=95

bench: $(VENV)/.stamp-demo
	@set -e; for script in $(BENCHMARKS); do echo "== $$script"; $(BIN)/python "$$script"; done

faults: $(VENV)/.stamp-test
	$(BIN)/python -m benchmarks.faults

fuzz: $(VENV)/.stamp-test
	$(BIN)/python -m tests.fuzz.campaign --minutes 1 --out $(OUT)/fuzz.txt

oldest:
	$(ONE_THREAD) $(PYTHON) release/versions.py $(VENV)-oldest constraints-oldest.txt

newest:
	$(ONE_THREAD) $(PYTHON) release/versions.py $(VENV)-newest

release-check:
	$(PYTHON) release/check.py

docs: $(VENV)/.stamp-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --site-dir site
	@echo "Look at the documentation: site/index.html"

clean:
	rm -rf $(VENV) $(VENV)-oldest $(VENV)-newest $(OUT) site dist build .coverage .coverage.* .pytest_cache .hypothesis .mypy_cache .ruff_cache \
	  .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
