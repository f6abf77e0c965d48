# Everything a person or CI does with the checkout. A fresh machine needs Python >= 3.11 and make, nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Changes of the requirements, and only those, install again.
STAMP := $(VENV)/.installed
# Tests share the cores: a few processes, each with one thread.
TESTS := OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist worksteal
# No question to the package index when albumentations is imported.
export NO_ALBUMENTATIONS_UPDATE := 1

.PHONY: help setup demo headers test test-all check format clean

help:
	@echo "make demo      set up, then the whole road on drawn scenes: train, score per condition, export, detect"
	@echo "make test      set up, then the tests"
	@echo "make test-all  the slow ones too"
	@echo "make headers   fetch what the C++ example of tools/cpp is built with (Debian); its tests skip without"
	@echo "make check     format, lint and types, as for a pull request"
	@echo "make format    put the sources into their format"

setup: $(STAMP)

$(STAMP): pyproject.toml
	@# An interrupted set-up leaves an environment without pip: made anew.
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || { \
	  $(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(None if (3, 11) <= v[:2] <= (3, 13) else f"Python {v[0]}.{v[1]} found, 3.11 to 3.13 needed: make PYTHON=python3.12")' \
	  && $(PYTHON) -m venv --clear $(VENV); }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

demo: setup
	$(BIN)/tl demo

headers: setup
	@tools/cpp/fetch_onnxruntime.sh build/onnxruntime $(BIN)/python

test: setup
	$(TESTS)

test-all: setup
	$(TESTS) -m "slow or not slow"

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) build/onnxruntime .pytest_cache .ruff_cache .hypothesis
