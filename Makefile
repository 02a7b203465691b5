# Every target sets up what it needs; nothing here holds logic.
PYTHON ?= python3
VENV ?= .venv
RECIPE ?= sentiment_zh
MODEL ?= models:/$(RECIPE)@champion
ARGS ?=
JOBS ?= 2
BIN := $(VENV)/bin
READY := $(VENV)/.ready
SYSTEM := chromium chromium-driver curl dataset-fashion-mnist default-jdk-headless espeak-ng fonts-noto-cjk postgresql wget
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

.DEFAULT_GOAL := help
.PHONY: help setup system run test test-slow check lint types layers format docs doctor plan train compress export verify register serve bench gallery clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z -]+:.*## / { n = split($$1, names, " "); for (i = 1; i <= n; i++) printf "%-11s %s\n", names[i], $$2 }' \
		$(MAKEFILE_LIST)

setup: $(READY) ## make the virtual environment

$(READY): pyproject.toml maas/constraints.txt
	@echo "Setting up $(VENV); this takes some minutes, once."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint maas/constraints.txt --editable '.[all,dev,docs]'
	@touch $@

system: ## Debian packages: data of some recipes, and what some tests start
	@dpkg -s $(SYSTEM) >/dev/null 2>&1 || { $(SUDO) apt-get update -qq; $(SUDO) apt-get install -y -qq $(SYSTEM); }

run: $(READY) ## take RECIPE through the whole line
	$(BIN)/python -m maas.run recipe=$(RECIPE) $(ARGS)

doctor: $(READY) ## examine RECIPE for classic mistakes
	$(BIN)/python -m maas.doctor recipe=$(RECIPE) $(ARGS)

plan: $(READY) ## estimate what RECIPE will take: minutes, memory, bytes
	$(BIN)/python -m maas.plan recipe=$(RECIPE) $(ARGS)

train compress export verify register: $(READY) ## one stage of RECIPE
	$(BIN)/python -m maas.$@ recipe=$(RECIPE) $(ARGS)

serve: $(READY) ## answer over HTTP with MODEL
	$(BIN)/python -m maas.serve model=$(MODEL) $(ARGS)

test: $(READY) ## run the tests, JOBS at a time
	@$(BIN)/python -m compileall -q maas  # once, and not in each process that a test starts
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadfile --no-loadscope-reorder $(ARGS)

test-slow: $(READY) ## run the tests that take minutes
	$(BIN)/python -m pytest -m slow $(ARGS)

lint: $(READY) ## format and lint, without changing anything
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(READY) ## mypy
	$(BIN)/mypy

layers: $(READY) ## which way imports point
	$(BIN)/lint-imports

check: lint types layers test ## all that CI runs

format: $(READY) ## format, and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(READY) ## measure speed against what a user would use instead
	$(BIN)/python -m tests.benchmarks $(ARGS)

docs: $(READY) ## build the documents' site: build/site/index.html
	$(BIN)/python docs/site/build.py

gallery: $(READY) ## run what has not been run, and write docs/gallery.md again
	$(BIN)/python docs/make_gallery.py $(ARGS)

clean: ## remove caches and builds; runs and models stay
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
