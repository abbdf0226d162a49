# `make help` lists what there is to make.
PYTHON ?= python3
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest -n 2
CHAPTERS := $(wildcard chapters/*.md)
NOTEBOOKS := $(CHAPTERS:chapters/%.md=notebooks/%.ipynb)

.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:
.PHONY: help demo test test-all test-oldest test-pythons test-oracle lint coverage mutants lab notebooks clean

help:  ## Show this list
	@sed -n 's/^\([a-z-]*\):.*  ## \(.*\)/\1\t\2/p' Makefile | while IFS="$$(printf '\t')" read -r name text; \
		do printf 'make %-12s %s\n' "$$name" "$$text"; done

demo: .venv/.installed  ## Train on real purchases and write a report to minigen-demo/
	$(BIN)/minigen demo

# One BLAS thread a worker: two of them fill two cores.
test test-all test-oldest test-pythons test-oracle coverage mutants: export OPENBLAS_NUM_THREADS = 1

test: lint  ## Linters, types and the fast tests
	$(PYTEST) -m "not slow"

test-all: lint test-oldest  ## Everything: the slow tests and the oldest versions too
	$(PYTEST)

test-pythons: .venv/.installed-dev  ## The fast tests on each Python here, and on the oldest versions
	$(MAKE) $(OTHERS:%=%/.installed)
	$(BIN)/python tests/faults/suites.py .venv $(OTHERS) --json results/reliability.json

lint: .venv/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/codespell

test-oracle: .venv/.installed-dev .venv/.installed-oracle  ## Compare with PyTorch's autograd (a large download)
	$(PYTEST) tests/oracles

# Coverage does not see into compiled kernels: tests of them at small sizes run once more, as plain Python.
coverage: .venv/.installed-dev  ## Lines and branches of minigen/ that the fast tests reach
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n 2 -m "not slow"
	NUMBA_DISABLE_JIT=1 $(BIN)/coverage run -m pytest -n 2 -m kernels
	$(BIN)/coverage combine
	$(BIN)/python tests/faults/covered.py --json results/reliability.json

mutants: .venv/.installed-dev  ## Slips planted in the mathematics, and those that no test notices
	$(BIN)/python tests/faults/mutate.py --json results/reliability.json

lab: .venv/.installed-notebooks  ## Open the book's notebooks in JupyterLab
	$(BIN)/jupyter lab --ServerApp.root_dir="$(CURDIR)" --LabApp.default_url=/lab/tree/$(firstword $(sort $(NOTEBOOKS)))

notebooks: .venv/.installed-dev $(NOTEBOOKS)  ## Execute chapters/*.md into notebooks/*.ipynb
	@$(BIN)/python -m minigen.book
	@echo "notebooks up to date: $(words $(NOTEBOOKS)), one for each chapters/*.md"

notebooks/%.ipynb: chapters/%.md
	MINIGEN_STILL=1 $(BIN)/jupytext --quiet --to ipynb --set-kernel python3 --execute --output $@ $<

clean:  ## Remove what make made: environments, caches, builds (runs and reports stay)
	rm -rf .venv .venv-* build dist *.egg-info .*_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Environments. A stamp newer than setup.py means that there is nothing to install.
.venv/bin/pip:
	@command -v $(PYTHON) >/dev/null || { echo "no $(PYTHON) here: apt install python3 python3-venv" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo \
		"minigen needs Python 3.11 or newer, and this is $$($(PYTHON) --version 2>&1): try make PYTHON=python3.12" \
		>&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo \
		"Python's venv is missing: apt install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv .venv

.venv/.installed: setup.py | .venv/bin/pip
	$(BIN)/pip install --quiet --editable .
	@touch $@

.venv/.installed-%: setup.py | .venv/bin/pip
	$(BIN)/pip install --quiet --editable ".[$*]"
	@touch .venv/.installed $@

# The oldest versions have no wheels for a newer Python than 3.12.
OLDEST_PYTHON = $(shell for p in $(PYTHON) python3.11 python3.12; do \
	$$p -c 'import ensurepip, sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null && echo $$p && break; done)

ifneq ($(OLDEST_PYTHON),)
test-oldest: .venv-oldest/.installed  ## The fast tests on the oldest versions of everything
	.venv-oldest/bin/python -m pytest -n 2 -m "not slow"
else
test-oldest:
	@echo "test-oldest skipped: it needs Python 3.11 or 3.12, and neither is here"
endif

.venv-oldest/.installed: setup.py requirements/oldest.txt
	$(OLDEST_PYTHON) -m venv .venv-oldest
	.venv-oldest/bin/pip install --quiet --requirement requirements/oldest.txt --editable .
	@touch $@

# Environments beside .venv: newer Pythons with the newest versions, and the oldest versions.
NEWER = $(shell for p in python3.12 python3.13 python3.14; do if $$p -c 'import ensurepip' 2>/dev/null; then echo $$p; fi; done)
OTHERS = $(NEWER:%=.venv-%) $(if $(OLDEST_PYTHON),.venv-oldest)

.venv-python%/.installed: setup.py
	python$* -m venv .venv-python$*
	.venv-python$*/bin/pip install --quiet --editable ".[dev]"
	@touch $@
