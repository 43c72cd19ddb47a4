# Every target sets up .venv first; with nothing to do that takes a tenth of a second.
PYTHON := $(firstword $(foreach name,python3 python3.12 python3.11,$(shell command -v $(name))))
BIN := .venv/bin
# A file's tests run in one process, in order.
PARALLEL := --numprocesses logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help setup run test test-long browser check format lock bench mutants clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 18

setup: ## install everything into .venv
	@$(or $(PYTHON),$(error no python3 on PATH: install Python 3.11 or 3.12 (Debian/Ubuntu: apt install python3 python3-venv))) bootstrap.py

run: setup ## Fashion-MNIST from raw data to a published model that answers a query
	@$(BIN)/headrace run fashion_mnist

test: setup browser ## the tests, but for long versions of some, on as many cores as there are, four at most
	@$(BIN)/python -m pytest $(PARALLEL) -m "not long" $(ARGS)

test-long: setup browser ## what repeats at length what `make test` shows; before a release
	@$(BIN)/python -m pytest $(PARALLEL) -m long $(ARGS)

# The tests of pages need a Chromium; without one they are skipped, and say so.
browser:
	@for name in chromium chromium-browser google-chrome; do command -v $$name >/dev/null && exit; done; \
	  [ "$$(id -u)" = 0 ] && (apt-get update && apt-get install -y --no-install-recommends chromium) >/dev/null 2>&1 || \
	  echo "no Chromium: tests of pages are skipped (Debian/Ubuntu: apt install chromium)"

check: setup ## format, lint, import contracts, types
	@$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/lint-imports && $(BIN)/mypy

format: setup ## rewrite the sources in the project's format
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

lock: ## resolve setup.py into requirements.lock
	@$(PYTHON) bootstrap.py --lock

bench: setup ## measure what Headrace costs beside its rivals (30 min), into docs/results.md
	@$(BIN)/python -m benchmarks $(ARGS)

mutants: setup ## change the code in one place after another, and list what no test notices (an hour; ARGS=PATH less)
	@$(BIN)/python -m tests.mutants $(ARGS)

clean: ## remove .venv, runs and published models
	rm -rf .venv runs serving tensorboard
