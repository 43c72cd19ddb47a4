# Every target sets up .venv first; with nothing to do that takes a tenth of a second.
PYTHON := $(firstword $(foreach name,python3 python3.12 python3.11,$(shell command -v $(name))))
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help setup run test browser check format lock bench mutants clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 16

setup: ## install everything into .venv
	@$(or $(PYTHON),$(error no python3 on PATH: install Python 3.11 or 3.12 (Debian/Ubuntu: apt install python3 python3-venv))) bootstrap.py

run: setup ## Fashion-MNIST from raw data to a published model that answers a query
	@$(BIN)/headrace run fashion_mnist

test: setup browser ## every test this machine can run
	@$(BIN)/python -m pytest -m "not long" $(ARGS)

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
