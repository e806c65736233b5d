# The two commands of a newcomer are `make demo` and `make test`.

PYTHON ?= python3
PORT ?= 8000
DATA_DIR ?= .clonegraph
SCALE ?= small
CHAOS_SECONDS ?= 60
CHAOS_OPERATIONS ?= 50
MONEY_STEPS ?= 2000
MONEY_SEED ?= $(shell date +%s)
FUZZ_OPERATIONS ?= 5000
FUZZ_SEED ?= $(shell date +%s)

BIN := .venv/bin
INSTALLED := .venv/installed
EXPLORER := gateway/explorer/dist/index.html
COMPILE := $(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-header --quiet
CLIENTS := tests/clients/node_modules/.package-lock.json
PEER_SERVERS := tests/benchmarks/peers/node_modules/.package-lock.json

.PHONY: demo test check bench chaos money fuzz explorer clients peers lock help

help:  ## What there is to make
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

demo: $(INSTALLED) $(EXPLORER)  ## Serve the graph over demo data (PORT=8000 DATA_DIR=.clonegraph SCALE=small|large)
	@exec $(BIN)/clonegraph demo --port $(PORT) --data-dir $(DATA_DIR) --scale $(SCALE)

test: $(INSTALLED) $(EXPLORER) $(if $(shell command -v npm),$(CLIENTS))  ## Run the tests
	$(BIN)/pytest

check: $(INSTALLED) $(EXPLORER)  ## Everything that must hold before a commit
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/clonegraph schema check
	$(MAKE) --no-print-directory test

bench: $(INSTALLED) $(if $(shell command -v npm),$(PEER_SERVERS))  ## Measure, and print ratios (PEERS="postgraphile-rls handwritten" OPERATIONS="Point Deep" ROUNDS=3)
	$(BIN)/pytest -m benchmark --numprocesses 0 -s tests/benchmarks$(if $(PEERS)$(OPERATIONS),/test_operations.py)

chaos: $(INSTALLED)  ## Kill servers and workers at random, and count every credit and every file at the provider
	@$(BIN)/python -m tests.chaos $(CHAOS_SECONDS)
	@$(BIN)/python -m tests.chaos.provisioning $(CHAOS_OPERATIONS)

money: $(INSTALLED)  ## Do whatever can be done with credits, and hold it against a model (MONEY_STEPS=2000 MONEY_SEED=)
	@MONEY_STEPS=$(MONEY_STEPS) MONEY_SEED=$(MONEY_SEED) $(BIN)/pytest --numprocesses 0 -q tests/test_money_property.py

fuzz: $(INSTALLED)  ## Ask whatever can be asked, of a plan and of graphql-core (FUZZ_OPERATIONS=5000 FUZZ_SEED=)
	@FUZZ_OPERATIONS=$(FUZZ_OPERATIONS) FUZZ_SEED=$(FUZZ_SEED) $(BIN)/pytest --numprocesses 0 -q tests/test_engine_generated.py

explorer: $(EXPLORER)  ## Build the explorer

clients: $(CLIENTS)  ## Install the clients that the tests run

peers: $(PEER_SERVERS)  ## Install the servers that the benchmark compares with

lock: $(INSTALLED)  ## Pin the newest versions that pyproject.toml allows
	$(BIN)/pip install --quiet uv
	$(COMPILE) --extra dev --upgrade --output-file requirements.txt
	$(COMPILE) --constraint requirements.txt --output-file requirements-run.txt

$(INSTALLED): requirements.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(EXPLORER): $(filter-out $(wildcard gateway/explorer/*.py),$(wildcard gateway/explorer/*.* gateway/explorer/src/*))
	cd gateway/explorer && npm ci --no-fund --no-audit --loglevel=error && npm run --silent build
	@touch $@

$(CLIENTS): tests/clients/package.json tests/clients/package-lock.json
	cd tests/clients && npm ci --no-fund --no-audit --loglevel=error
	@touch $@

$(PEER_SERVERS): tests/benchmarks/peers/package.json tests/benchmarks/peers/package-lock.json
	cd tests/benchmarks/peers && npm ci --no-fund --no-audit --loglevel=error
	@touch $@
