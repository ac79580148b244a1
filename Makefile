# Targets that need the environment create it first, unless it is up to date.

PYTHON ?= python3
VENV   ?= .venv
ARGS   ?=
PIP_ARGS ?=

BIN   := $(VENV)/bin
STAMP := $(VENV)/.installed
PYTEST = OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help setup train test test-all soak fuzz bench lint types format schema lock tensorboard clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  \1\t/' | expand -t 16
	@echo
	@echo "  make train ARGS='network=mlp optimizer.lr=0.01'       passes arguments on"
	@echo "  make setup PIP_ARGS='--extra-index-url URL'           chooses another build of torch"

setup: $(STAMP) ## create .venv and install the versions in constraints.txt

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed, but $(PYTHON) is $$($(PYTHON) --version 2>&1). Choose another: make PYTHON=python3.12 …"; exit 2; }
	@echo "installing torch and the other dependencies into $(VENV): more than 1 GB, once, in a few minutes"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check $(PIP_ARGS) -c constraints.txt -e '.[dev]'
	@touch $(STAMP)

train: $(STAMP) ## train on the digits, or with the options in ARGS
	$(BIN)/leyden train $(ARGS)

test: $(STAMP) ## run the fast tests
	$(PYTEST) -m 'not slow' $(ARGS)

test-all: $(STAMP) ## run all tests, including slow ones
	$(PYTEST) $(ARGS)

soak: $(STAMP) ## kill a run 200 times and a cross-validation 10 times, and compare both with unbroken ones
	OMP_NUM_THREADS=1 $(BIN)/python tests/workflows/crashes.py $$(mktemp -d) 200 1 0 \
	  network.channels=[4,8] network.dropout=0.2 data.batch_size=64 trainer.max_epochs=150 \
	  trainer.accumulate_grad_batches=2 'callbacks=[default,ema]' callbacks.early_stopping=null \
	  callbacks.checkpoint.save_every_steps=3 task/mix=mixup
	OMP_NUM_THREADS=1 $(BIN)/python tests/workflows/crossval_crashes.py $$(mktemp -d) 10 0 \
	  folds=3 network=mlp network.hidden_widths=[16] network.dropout=0.2 data.batch_size=64 \
	  trainer.max_epochs=6 callbacks.checkpoint.save_every_steps=3

fuzz: $(STAMP) ## read thousands of damaged files of every kind, and send 10,000 damaged requests
	OMP_NUM_THREADS=1 LEYDEN_FUZZ_ROUNDS=5000 $(BIN)/python -m pytest -n 2 -k damaged tests/data tests/serving

bench: $(STAMP) ## run all benchmarks, in about an hour, and write benchmarks/RESULTS.md
	for program in $(filter-out benchmarks/measure.py,$(wildcard benchmarks/*.py)); do $(BIN)/python $$program || exit; done

lint: $(STAMP) ## check style and the direction of imports
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports

types: $(STAMP) ## check types
	$(BIN)/mypy

format: $(STAMP) ## format the code
	$(BIN)/ruff check --fix --select I
	$(BIN)/ruff format

schema: $(STAMP) ## write conf/schema/*.json, by which editors complete and check conf/
	$(BIN)/leyden schema

lock: ## resolve the newest versions of dependencies and write constraints.txt
	rm -rf $(VENV)-lock
	$(PYTHON) -m venv $(VENV)-lock
	$(VENV)-lock/bin/pip install --quiet $(PIP_ARGS) -e '.[dev]'
	$(VENV)-lock/bin/pip freeze --exclude-editable | sed -E 's/\+[a-z0-9.]+$$//' > constraints.txt
	rm -rf $(VENV)-lock

tensorboard: $(STAMP) ## show all runs in TensorBoard
	$(BIN)/tensorboard --logdir runs

clean: ## remove the environment, builds and caches of tools, but not runs
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
