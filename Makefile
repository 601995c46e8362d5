# make search     install into .venv and run the main job: search networks of up to 4 GFLOPs
# make test       install into .venv and run the tests, all but the slow ones
# make slow       the slow tests
# make lint types layers      ruff, mypy --strict, the direction of imports
# make ci         all of these
# make clean      remove .venv and what tools left; runs stay
#
# make search ARGS="--trials 4 --name first"      hands options on, to pytest too
# make test PYTHON=python3.12                     makes .venv with another Python

PYTHON ?= python3
ARGS ?=

BIN := .venv/bin
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.DEFAULT_GOAL := help
.PHONY: help search test slow lint types layers ci clean

help:
	@sed -n -e '/^$$/q' -e 's/^# \{0,1\}//p' Makefile

search: .venv/core
	@$(BIN)/archspace search --space resnext.yaml --budget 4GFLOPs $(ARGS)

test: .venv/test
	@$(BIN)/python -m pytest $(ARGS)

# Status 5 says that no test is marked slow.
slow: .venv/test
	@$(BIN)/python -m pytest -m slow $(ARGS) || test $$? -eq 5

lint: .venv/dev
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check

types: .venv/dev
	@$(BIN)/mypy

layers: .venv/dev
	@$(BIN)/lint-imports

ci:
	@.ci/run

clean:
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

# A file in .venv stands for what is installed there: it is old once ranges or pins change. pip's words go to stderr,
# as all progress does, so that stdout holds the result alone.
.venv/core: pyproject.toml constraints.txt
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(MAKE) --no-print-directory venv >&2
	@echo "installing archspace and what it needs into .venv; minutes the first time, for torch is large" >&2
	@$(INSTALL) -e . >&2
	@touch $@

.venv/test: .venv/core
	@$(INSTALL) -e '.[test]' >&2
	@touch $@

.venv/dev: .venv/test
	@$(INSTALL) -e '.[dev]' >&2
	@touch $@

.PHONY: venv
venv:
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is not there: install Python 3.11 or newer, or name one: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("archspace needs Python 3.11 or newer, and $(PYTHON) is %d.%d: name another: make PYTHON=python3.12 ..." % sys.version_info[:2])'
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) lacks its module venv: install it (Debian, Ubuntu: apt-get install python3-venv)" >&2; exit 1; }
	@$(PYTHON) -m venv --clear .venv
