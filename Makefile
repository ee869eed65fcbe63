# Everything that one does with a clone. Each target does the set-up that it needs, the first time.

SHELL := /bin/bash

# Several processes share the tests, each whole files in the order that tests/conftest.py gives them.
SHARED := --dist loadfile --no-loadscope-reorder

.PHONY: help setup demo check test torture bench docs clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

# The environments are stamped, so that they are made again when their recipe changes.
# An editable install copies the files that JupyterLab loads, so these are part of the recipe.
LABEXTENSION := $(wildcard wslive/notebook/labextension/*.json wslive/notebook/labextension/static/*)

.venv/.lab: pyproject.toml $(LABEXTENSION) tools/venv.sh tools/packages.sh
	@tools/venv.sh lab
	@touch $@

.venv/.test: pyproject.toml $(LABEXTENSION) tools/venv.sh tools/packages.sh
	@tools/venv.sh lab,test
	@touch .venv/.lab $@

setup: .venv/.test ## a virtual environment, .venv, with all that development needs

demo: .venv/.lab ## wslive's first minute; ARGS="--no-browser --seconds 60" are handed on
	@.venv/bin/wslive demo $(ARGS)

check: .venv/.test ## the quick checks: style, types, import contracts, all tests without a browser
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/pytest -n 2 $(SHARED) --ignore=tests/end_to_end --ignore=tests/torture

test: .venv/.test ## the quick checks, then real servers, JupyterLab, Chromium, and attacks in short
	@tools/browser.sh
	@tools/node.sh
	@$(MAKE) --no-print-directory check
	.venv/bin/pytest -n 3 $(SHARED) tests/end_to_end tests/torture

torture: .venv/.test ## attack a real server for hours; ARGS="-k kill" picks an attack, docs/reliability.md lists them
	@tools/browser.sh
	@tools/node.sh
	@tools/rivals.sh
	@tools/atheris.sh
	.venv/bin/pytest tests/torture --long $(ARGS)
	.venv/bin/python -m tools.reliability

bench: .venv/.test ## measure a real server on this machine beside its peers; ARGS="votes --repeats 1" are handed on
	@tools/node.sh
	.venv/bin/python -m benchmarks $(ARGS)

docs: .venv/.test ## bring docs/ up to date: what is told by the code, and the picture of the real thing
	@tools/browser.sh
	.venv/bin/python -m tools.docs
	.venv/bin/python -m tools.pictures

clean: ## remove what the tools have left; .venv stays
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
