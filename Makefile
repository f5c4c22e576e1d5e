PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
CODE := orchestrator apify_emulator tests bench jobs/actors
ACTORS := $(wildcard jobs/actors/*/requirements.txt)

.DEFAULT_GOAL := help
.PHONY: help setup quickstart fmt lint types arch unit test check soak bench constraints example-config spec-reference clean

help: ## what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(READY) ## a .venv with the command, and the sample Actors' environments

$(READY): pyproject.toml constraints.txt $(ACTORS)
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	$(BIN)/python -m pip --version > /dev/null 2>&1 || $(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	$(BIN)/orchestrator platform build --actors jobs/actors
	@touch $@

quickstart: setup ## set up, then run the sample sweep on the local platform
	$(BIN)/orchestrator run jobs/quickstart.toml --local

fmt: setup ## format the code
	$(BIN)/ruff format $(CODE)
	$(BIN)/ruff check --fix --quiet $(CODE)

lint: setup ## format and lint, without changing anything
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)

types: setup ## types, strictly
	$(BIN)/mypy

arch: setup ## which layer imports which
	$(BIN)/lint-imports --no-logo

unit: setup ## the fast tests
	$(BIN)/pytest -q tests/unit

test: setup ## all tests, in parallel
	$(BIN)/pytest -q -n auto --dist worksteal

check: lint types arch ## all checks that are no tests

soak: setup ## the long forms of the random tests
	ORCHESTRATOR_SOAK=1 ORCHESTRATOR_NIGHTS=5000 $(BIN)/pytest -q -n auto tests/crash tests/simulation tests/client \
	    --timeout 3600

bench: setup ## measure, and write the figures into docs/performance.md
	$(BIN)/python -m bench

constraints: ## pin the newest versions that fit
	$(PYTHON) -m venv .venv-pins
	.venv-pins/bin/python -m pip install --quiet -e '.[dev]'
	.venv-pins/bin/python -m pip freeze --exclude-editable > constraints.txt
	rm -r .venv-pins

example-config: setup ## write config.example.toml from the settings
	$(BIN)/python -c 'from orchestrator.app.setup.settings import example_config as e; print(e(), end="")' \
	    > config.example.toml

spec-reference: setup ## write docs/spec.md from the models
	$(BIN)/python -c 'from orchestrator.specfile.reference import spec_reference as r; print(r(), end="")' \
	    > docs/spec.md

clean: ## remove what was set up; results stay
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
