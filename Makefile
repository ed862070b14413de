# `make demo` and `make test` work on a fresh machine: each sets up .venv first if need be.

PYTHON ?= python3
# Test processes side by side; each gets one thread.
JOBS ?= 2

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DOCS_READY := $(VENV)/.docs-ready
PIP := $(BIN)/python -m pip
TESTED = OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help venv demo test test-all lint format bench docs constraints clean

help:  ## Say what there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

venv: $(READY)  ## Set up .venv, or bring it up to date

# torch first and by its exact version: a resolver left to choose takes the newest there is. The
# build backend comes with it, so that no isolated build environment fetches another.
$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet torch==2.13.0 hatchling editables -c constraints.txt
	$(PIP) install --quiet --no-build-isolation -e '.[dev,examples,references]' -c constraints.txt
	touch $@

$(DOCS_READY): $(READY)
	$(PIP) install --quiet --no-build-isolation -e '.[docs]' -c constraints.txt
	touch $@

demo: $(READY)  ## Train a small segmentation network with a loss file
	$(BIN)/python examples/segmentation/demo.py

test: lint  ## Lint, type-check and run the tests, without the slow ones
	$(TESTED) -m "not slow"

test-all: lint  ## The same with the slow tests
	$(TESTED)

lint: $(READY)  ## ruff, mypy and the import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY)  ## Format the code and mend what ruff can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY)  ## Compare with hand-written PyTorch, and time the front end
	$(BIN)/python -m benchmarks.speed --malloc both
	$(BIN)/python -m benchmarks.footprint
	$(BIN)/python -m benchmarks

docs: $(DOCS_READY)  ## Build the documentation into site/
	$(BIN)/mkdocs build --strict

constraints: $(DOCS_READY)  ## Write constraints.txt from what .venv has
	$(BIN)/python .ci/constraints.py > constraints.txt.new
	mv constraints.txt.new constraints.txt
	touch $(READY) $(DOCS_READY)

clean:  ## Remove .venv and all that was built or cached
	rm -rf $(VENV) build dist site .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
