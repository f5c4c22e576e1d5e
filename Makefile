PYTHON ?= python3
BIN := .venv/bin
NO_BYTECODE := PYTHONDONTWRITEBYTECODE=1
UV := $(NO_BYTECODE) $(BIN)/python tools/uv_with_pip_settings.py
INSTALL := $(UV) pip install --quiet --python $(BIN)/python --constraints constraints.txt \
	--build-constraints constraints.txt
RUNTIME := .venv/.runtime
TOOLS := .venv/.tools
CODE := orchestrator apify_emulator tests bench tools jobs/actors
COMPILE := $(BIN)/python -m compileall -q orchestrator apify_emulator
EMPTY_TREE := 4b825dc642cb6eb9a060e54bf8d69288fbee4904

# Without bytecode on disk, each command compiles 170 modules: a third of its start.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help quickstart setup fmt lint types arch unit test coverage check soak bench bench-check wheel constraints \
	docs example-config references emulator-api officials screenshots test-airflow clean

help: ## list all targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

quickstart: $(RUNTIME) ## install what a user needs, then run the sample sweep on the local platform
	$(BIN)/orchestrator run jobs/quickstart.toml --local

setup: $(TOOLS) ## install the tools of development too, and build the sample Actors' environments
	$(BIN)/orchestrator platform build --actors jobs/actors

$(BIN)/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; name it: make PYTHON=python3.13 …")'
	@echo "Creating .venv"
	@$(PYTHON) -m venv --clear .venv
	@$(NO_BYTECODE) $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-cache-dir --no-compile \
	    --constraint constraints.txt uv
	@find .venv/lib -path '*/pip/*' -name '*.pyc' -delete # 8 MB, for a tool that has done its work
	@$(UV) pip uninstall --quiet --python $(BIN)/python setuptools

$(RUNTIME): pyproject.toml constraints.txt | $(BIN)/uv
	@echo "Installing apify-batch and what it needs"
	@$(INSTALL) --no-cache --editable .
	@$(COMPILE)
	@touch $@

$(TOOLS): pyproject.toml constraints.txt | $(BIN)/uv
	@echo "Installing apify-batch and the tools of development"
	@$(INSTALL) --editable '.[dev]'
	@$(COMPILE)
	@$(BIN)/pytest --collect-only -q > /dev/null || true # else each worker compiles all tests: 6 s
	@touch $(RUNTIME) $@

fmt: $(TOOLS) ## format the code
	$(BIN)/ruff format $(CODE)
	$(BIN)/ruff check --fix --quiet $(CODE)

lint: $(TOOLS) ## check format, code and whitespace, without changing anything; the pre-commit hook
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	git diff --check $(EMPTY_TREE) -- .

types: $(TOOLS) ## check types, strictly
	$(BIN)/mypy
	$(BIN)/pyright

arch: $(TOOLS) ## check which layer imports which
	$(BIN)/lint-imports --no-logo

unit: $(TOOLS) ## run the fast tests
	$(BIN)/pytest -q tests/unit

test: setup ## run all tests, in parallel
	$(BIN)/pytest -q -n auto --dist worksteal

test-airflow: $(TOOLS) ## run the DAG of `schedule airflow` in a real Airflow, in an environment of its own (300 MB)
	@test -x .venv/.airflow/bin/airflow || { $(PYTHON) -m venv .venv/.airflow && \
	    .venv/.airflow/bin/python -m pip install --quiet --disable-pip-version-check apache-airflow; }
	ORCHESTRATOR_TEST_AIRFLOW=$(CURDIR)/.venv/.airflow/bin/python $(BIN)/pytest -q tests/airflow

coverage: setup ## run all tests and report which lines and branches they reach
	$(BIN)/pytest -q -n auto --dist worksteal --timeout 300 \
	    --cov --cov-report=term:skip-covered --cov-report=html

check: lint types arch ## run all checks that are not tests

soak: setup ## run the long forms of the random tests
	ORCHESTRATOR_SOAK=1 ORCHESTRATOR_SIMULATIONS=5000 $(BIN)/pytest -q -n auto tests/crash tests/simulation tests/client \
	    tests/e2e/test_thirty_nights.py tests/e2e/test_dask.py tests/e2e/test_random_plans.py tests/api/test_random_programs.py \
	    tests/test_examples.py --timeout 3600

bench: setup ## measure, and write the figures into docs/performance.md
	$(BIN)/python -m bench

bench-check: setup ## measure briefly whether a job costs more than 1.15 times what docs/performance.md says
	$(BIN)/python -m bench --check

wheel: $(TOOLS) ## build the wheel and the source archive into dist/
	$(UV) build --quiet --clear --build-constraints constraints.txt

constraints: $(TOOLS) ## pin the newest versions that fit, for all systems and Pythons
	$(UV) pip compile --quiet --universal --upgrade --python-version 3.11 --all-extras --no-annotate --no-header \
	    pyproject.toml --output-file constraints.txt

references: $(RUNTIME) ## write the reference pages of docs/ from the program
	$(BIN)/python -m tools.references


example-config: $(RUNTIME) ## write config.example.toml from the settings
	$(BIN)/python -c 'from orchestrator.app.setup.settings import example_config as e; print(e(), end="")' \
	    > config.example.toml

docs: $(TOOLS) ## build the site of the documentation into site/; warnings are errors
	$(BIN)/zensical build --strict --clean

emulator-api: $(TOOLS) ## write docs/emulator-api.md from the official description of the API
	$(BIN)/python -m tests.support.api_coverage

officials: $(TOOLS) ## run official suites against the emulator, and write docs/officials.md; needs the network
	$(BIN)/python -m tools.officials --write $(addprefix --checkout ,$(CHECKOUTS)) $(SUITES)

screenshots: $(TOOLS) ## draw the pages of docs/pictures/ with chromium
	$(BIN)/python -m tests.support.screens
	$(BIN)/python -m tests.support.screenshots

clean: ## remove what was set up; results stay
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage htmlcov dist site .cache
