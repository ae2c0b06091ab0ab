# Every command of the README and of CI. Needs python3 >= 3.11 and make, nothing else.
#
#   make run [ARGS="--port 9000"]         serve on 127.0.0.1:8080
#   make test [ARGS="-k reload"]          run every test
#   make check                            format, lint, types, layers, tests: what CI runs
#   make format | lint | types | layers   one of them; `format` also repairs
#   make bench [PEERS=1] [BENCH_ARGS=…]   measure beside nginx, and beside other gateways with PEERS=1
#   make lock                             pin the dependencies of pyproject.toml again (needs uv)
#   make catalogue                        take the catalogue of models from its sources again
#   make clean                            remove what these commands made

.DEFAULT_GOAL := help
.PHONY: help run test check bench format format-check lint types layers lock catalogue clean

# The first interpreter that is new enough; `make PYTHON=/path/to/python3 …` chooses another.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11 python3.14; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)

BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet
RUNTIME := .venv/.runtime
TOOLS := .venv/.tools
CODE := proxy adapters plugins tests

help:
	@sed -n 's/^#   //p' Makefile

run: $(RUNTIME)
	@exec $(BIN)/headgate serve $(ARGS)

test: $(TOOLS)
	@tests/services.sh
	$(BIN)/python -m pytest $(ARGS)

check: format-check lint types layers test

bench: $(TOOLS)
	$(BIN)/python -m tests.bench $(if $(PEERS),--peers) $(BENCH_ARGS)

format: $(TOOLS)
	$(BIN)/ruff format $(CODE)
	$(BIN)/ruff check --fix --quiet --exit-zero $(CODE)

format-check: $(TOOLS)
	$(BIN)/ruff format --check $(CODE)

lint: $(TOOLS)
	$(BIN)/ruff check $(CODE)

types: $(TOOLS)
	$(BIN)/mypy

layers: $(TOOLS)
	$(BIN)/python -m pytest tests/test_layers.py tests/test_budgets.py

LOCK := uv pip compile --quiet --universal --no-strip-extras --python-version 3.11 --generate-hashes --no-header --no-annotate \
	--no-emit-package colorama --no-emit-package httpx2-jsfetch

lock:
	@command -v uv >/dev/null || { echo "make lock needs uv, which is no dependency of the project" >&2; exit 1; }
	$(LOCK) pyproject.toml --output-file deploy/requirements.txt
	$(LOCK) --group pyproject.toml:build --output-file deploy/requirements-build.txt
	$(LOCK) --group pyproject.toml:dev --constraint deploy/requirements.txt --output-file deploy/requirements-dev.txt

catalogue: $(RUNTIME)
	@mkdir -p .venv/catalogue
	@$(BIN)/python -m pip --quiet download --no-deps --dest .venv/catalogue genai-prices langchain-openai langchain-openrouter
	$(BIN)/python -m proxy.cataloguing .venv/catalogue

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist *.egg-info bench.json
	find $(CODE) -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps are made last, so that an installation cut short is begun again.
$(TOOLS): $(RUNTIME) deploy/requirements-dev.txt
	@echo "installing the tests and tools (deploy/requirements-dev.txt)"
	@$(PIP) --require-hashes -r deploy/requirements-dev.txt
	@touch $@

$(RUNTIME): .venv/bin/python deploy/requirements.txt deploy/requirements-build.txt pyproject.toml
	@echo "installing headgate into .venv (deploy/requirements.txt)"
	@$(PIP) --require-hashes -r deploy/requirements-build.txt -r deploy/requirements.txt
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

# Debian keeps `ensurepip` in a package of its own; root on a fresh machine gets it without asking.
.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "headgate needs python3 >= 3.11; none was found on PATH." \
		"Install one, or name it: make PYTHON=/path/to/python3 …" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		test "$$(id -u)" = 0 && command -v apt-get >/dev/null && \
		echo "installing python3-venv" && apt-get -qq update && \
		apt-get -qq install --yes --no-install-recommends python3-venv >/dev/null; } || { \
		echo "$(PYTHON) cannot make virtual environments. On Debian and Ubuntu:" \
		"sudo apt-get install python3-venv" >&2; exit 1; }
	@rm -rf .venv
	@$(PYTHON) -m venv .venv
