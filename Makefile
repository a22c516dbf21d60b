# Everything a fresh machine needs is made by `make install`; the other targets call it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# tests that compare clocks, and so run beside one another only, two files at a time: they wait more than they work (a model's
# file has none); all others run three files at a time, in the order of tests/conftest.py: more than a small machine has
# cores, since nights wait for servers and schedules
TIMED := $(filter-out %llama.py,$(wildcard tests/endpoints/test_*.py)) tests/loadgen tests/test_benchmarks.py
BY_FILE := --dist loadfile --no-loadscope-reorder
# kept also where the environment says otherwise: hundreds of processes of the tests would compile the same modules each
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help install demo test lint bench bench-peers docs clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP) ## make .venv with the ratecard command in it

# two `make` at once in a fresh clone: the second waits for the first
$(STAMP): pyproject.toml constraints.txt hatch_build.py $(wildcard loadgen/_*.[ch]) scripts/install.py
	@$(PYTHON) scripts/install.py $(VENV) $(STAMP) $^

demo: install ## measure a real engine on this machine and print its rate card (about 2 minutes)
	@$(BIN)/ratecard demo

test: install ## run the tests
	@$(BIN)/python -m pytest -n 3 $(BY_FILE) tests $(TIMED:%=--ignore=%)
	@$(BIN)/python -m pytest -n 2 $(BY_FILE) $(TIMED)

lint: install ## check style, types, SQL, imports and generated docs
	@scripts/lint

bench: install ## measure the client and the pipeline (ratios in one run; takes minutes)
	@$(BIN)/python -m benchmarks

bench-peers: install ## the client beside AIPerf and GuideLLM, in .bench-peers (downloads gigabytes the first time)
	@$(BIN)/python -m benchmarks peers

docs: install ## write the generated docs again
	@$(BIN)/python -m scripts.docs

clean: ## remove .venv and caches, never data
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
