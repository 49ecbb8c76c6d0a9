# make demo | test | test-long | test-oracles | test-rtl | validation | check | bench | clean        (VENV=dir puts the virtual environment elsewhere)
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin

.PHONY: demo test test-long test-oracles test-rtl validation check bench clean

demo: $(VENV)/.installed
	$(BIN)/hwsim demo -o demo

test: $(VENV)/.installed-test
	$(BIN)/python -m pytest -q -n auto

test-long: $(VENV)/.installed-test
	$(BIN)/python -m pytest -q -n auto -m long

test-oracles: $(VENV)/.installed-oracles
	$(BIN)/python -m tests.oracles
	$(BIN)/python -m pytest -q tests/programs -k oracle

test-rtl: $(VENV)/.installed-rtl
	HWSIM_REQUIRE_RTL=1 $(BIN)/python -m pytest -q tests/rtl

validation: $(VENV)/.installed-rtl
	$(BIN)/python -m tests.validation

check: $(VENV)/.installed-check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/codespell

bench: $(VENV)/.installed-bench
	$(BIN)/python -m tests.bench

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install -q --disable-pip-version-check -e .
	touch $@

$(VENV)/.installed-test: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install -q --disable-pip-version-check -e ".[test]"
	touch $@ $(VENV)/.installed

$(VENV)/.installed-check: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install -q --disable-pip-version-check -e ".[test,check]"
	touch $@ $(VENV)/.installed $(VENV)/.installed-test

# of hls4ml only the C++ headers are used, hence without what it depends on
$(VENV)/.installed-oracles: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install -q --disable-pip-version-check -e ".[test,oracles]"
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps "hls4ml>=1.1,<2"
	touch $@ $(VENV)/.installed $(VENV)/.installed-test

# the circuit also needs a C++ compiler: g++, clang++, or the wheel ziglang
$(VENV)/.installed-rtl: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install -q --disable-pip-version-check -e ".[test,rtl]"
	touch $@ $(VENV)/.installed $(VENV)/.installed-test

$(VENV)/.installed-bench: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install -q --disable-pip-version-check -e ".[bench]"
	touch $@ $(VENV)/.installed

clean:
	rm -rf $(VENV) build demo *.egg-info
