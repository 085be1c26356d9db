# What to do with a checkout. `make up` starts everything; the logic is in platform/config/onemachine.

CANDIDATES := python3.11 python3 python3.12 python3.13 python3.14
RECENT := 'import sys; sys.exit(sys.version_info < (3, 11))'
PYTHON ?= $(shell for python in $(CANDIDATES); do $$python -c $(RECENT) 2>/dev/null && echo $$python && break; done)
PYTHON := $(or $(PYTHON),python3)
INSTALL := $(PYTHON) -I platform/config/onemachine/install.py
BIN := .venv/bin

.PHONY: up down status console environment check-console browser clients peers api check lint types contracts unit test test-all bench lock clean

up down status console environment check-console browser clients peers:
	@$(INSTALL) $@

# Two at a time: the type checker and the tests each keep one core busy.
check: environment
	@$(MAKE) --no-print-directory -j2 --output-sync=target types unit lint contracts check-console

lint: environment
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: environment
	$(BIN)/python -m config.onemachine.with_environment $(BIN)/mypy

contracts: environment
	$(BIN)/lint-imports

unit: environment
	$(BIN)/pytest -q --unit

# Three processes share the tests, each with services of its own: alone, one leaves half of two cores idle.
SIDE_BY_SIDE := -n 3 --dist loadscope --no-loadscope-reorder

test: console browser clients
	$(BIN)/pytest -q $(SIDE_BY_SIDE) -m "not slow and not gpu"

test-all: console browser clients
	$(BIN)/pytest -q $(SIDE_BY_SIDE) -m "not gpu"

bench: console peers
	$(BIN)/python -m tests.benchmarks

# One of them: `make bench-stack`, `make bench-gateway`, `make bench-routing`, `make bench-cache`,
# `make bench-streams`, `make bench-trust`, `make bench-access`, `make bench-usage`, and, not among `make bench`,
# `make bench-soak`: half an hour, or SOAK_MINUTES.
bench-%: console peers
	$(BIN)/python -m tests.benchmarks.$*

# The API's description from the code, and the console's types from that.
api: environment
	$(BIN)/python -m config.onemachine.with_environment $(BIN)/python manage.py spectacular --format openapi-json --file frontend/openapi.json --fail-on-warn
	npm --prefix frontend/tools ci --no-audit --no-fund && npm --prefix frontend run api-types

lock: environment
	$(BIN)/python locks/make_locks.py

clean:
	rm -rf .venv frontend/node_modules frontend/dist tests/e2e/*/node_modules tests/e2e/*/*/node_modules
	rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
