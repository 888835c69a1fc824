# Every target does its own set-up: a fresh checkout needs only Python (with venv) and make.
# The environment variable TTFSRUN_DATA (the folder of the MNIST files) reaches each command as it is.

PYTHON ?= python3
ARGS ?=
PYTEST_ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
CACHES := .hypothesis .mypy_cache .pytest_cache .ruff_cache

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup train test lint check clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-6s  %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "PYTHON=python3.12 chooses the interpreter; it matters when .venv is made."

setup: $(INSTALLED) ## install everything into .venv; the others do it by themselves

train: setup ## train a yin-yang network (ARGS="seed.init=3 training.epochs=20" overrides settings)
	$(BIN)/ttfsrun train experiment=yin_yang $(ARGS)

test: setup ## run the tests (PYTEST_ARGS="-k neuron" selects)
	$(BIN)/python -m pytest --numprocesses auto --dist loadgroup $(PYTEST_ARGS)

lint: setup ## check style, format, types and the layers of imports
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint test ## lint, then test

clean: ## remove .venv, caches and build artefacts; results stay
	rm -rf $(VENV) $(CACHES) build dist
	find ttfsrun tests -name __pycache__ -prune -exec rm -rf {} +

# The version is read from __init__.py when the package is installed. The pins fit Python 3.11 and newer;
# Python 3.10 gets the newest releases that pyproject.toml allows.
$(INSTALLED): requirements.lock pyproject.toml ttfsrun/__init__.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
		echo "ttfsrun needs Python 3.10 or newer; '$(PYTHON)' is missing or older:" \
			"make PYTHON=python3.11 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || { \
		echo "'$(PYTHON)' cannot make virtual environments; on Debian or Ubuntu: apt-get install python3-venv" >&2; \
		exit 1; }
	$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	if $(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then \
		$(BIN)/python -m pip install --requirement requirements.lock && \
		$(BIN)/python -m pip install --no-deps --no-build-isolation --editable .; \
	else \
		$(BIN)/python -m pip install --editable '.[test,check]'; \
	fi
	@touch $@
