PYTHON ?= $(shell command -v python3.11 || command -v python3)
PYTEST_ARGS ?= -n auto --dist loadfile
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed

export OMP_NUM_THREADS ?= 1

.PHONY: demo test lint setup clean

demo: setup  ## edit the embedded world's model and show what changed
	$(BIN)/easyedit-ice demo

test: setup  ## the whole test suite
	$(BIN)/python -m pytest $(PYTEST_ARGS)

lint: setup  ## style and import order
	$(BIN)/ruff check .

setup: $(INSTALLED)  ## the virtual environment, made once and again when its inputs change

# EasyEdit's release pins packages of 2023, so it comes without its dependencies; setup.cfg lists those in use.
$(INSTALLED): setup.cfg setup.py pyproject.toml constraints.txt Makefile
	@'$(PYTHON)' -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { \
	  echo "Python 3.11 is needed, but PYTHON=$(PYTHON) is $$($(PYTHON) -V 2>&1). Name one: make PYTHON=/path/to/python3.11"; \
	  exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-deps easyeditor
	touch $@

clean:  ## remove what the other targets made
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache
