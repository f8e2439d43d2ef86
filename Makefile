# make help lists the targets. Everything is installed into .venv, pinned by constraints.txt.
.DEFAULT_GOAL := help
.PHONY: help setup demo test test-fast lint mutants versions bench docs clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.stamp

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## install everything into .venv

$(STAMP): pyproject.toml constraints.txt tools/setup.sh
	@PYTHON=$(PYTHON) VENV=$(VENV) sh tools/setup.sh
	@touch $@

demo: $(STAMP) ## a UE gets its configuration through a relay, on real MicroPython
	@$(BIN)/msgin5g demo

test: $(STAMP) ## every test: CPython, MicroPython (source, .mpy, mip, ROMFS), peers
	@sh tools/test.sh

test-fast: $(STAMP) ## unit/ and nodes/ on CPython without the slow tests, unit/ on MicroPython
	@sh tools/test.sh fast

lint: $(STAMP) ## ruff, import direction, manifests, packages of mip, budgets
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/python -m msgin5g_tools.checks.imports
	@$(BIN)/python -m msgin5g_tools.checks.private
	@$(BIN)/python -m msgin5g_tools.checks.manifests
	@$(BIN)/python -m msgin5g_tools.checks.packages
	@$(BIN)/python -m msgin5g_tools.checks.budget

mutants: $(STAMP) ## which small change of the code does no test notice? [AREA=relay] [SAMPLE=60] [SEED=1]
	@$(BIN)/python -m msgin5g_tools.checks.mutants $(AREA) \
		$(if $(SAMPLE),--sample $(SAMPLE)) $(if $(SEED),--seed $(SEED))

versions: $(STAMP) ## the unit tests on every MicroPython from 1.24 on that npm and PyPI have
	@$(BIN)/python -m msgin5g_tools.checks.versions

bench: $(STAMP) ## measure speed, heap, size and bytes on the wire
	@$(BIN)/msgin5g bench

docs: $(STAMP) ## the documentation as a site in build/site, to read and search without internet
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict
	@echo "docs: build/site/index.html"

clean: ## remove what make made
	rm -rf $(VENV) build .pytest_cache .ruff_cache .hypothesis *.egg-info
