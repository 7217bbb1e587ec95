# Every target does its own set-up. PYTHON is any Python from 3.11 on.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test lint bench fuzz docs clean help
help:
	@echo "make demo    install, run specs/2026-11-22-digits.yaml and, at laptop size, specs/2024-06-28.yaml; write and name their reports"
	@echo "make test    all tests"
	@echo "make lint    format, rules, types, layers, import budget"
	@echo "make bench   timings, side by side with the usual ways; written to bench/results.json"
	@echo "make fuzz    FUZZ=100000 pages made up or damaged: each is planned, or refused with a place (about an hour)"
	@echo "make docs    the generated parts of docs/"

$(READY): pyproject.toml constraints.txt requirements-no-deps.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --upgrade pip
	@echo "installing (torch is large: this takes a few minutes the first time) ..."
	@PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	@$(BIN)/python -m pip install --quiet --no-deps --requirement requirements-no-deps.txt
	@touch $(READY)

demo: $(READY)
	@$(BIN)/expt run specs/2026-11-22-digits.yaml
	@$(BIN)/expt run specs/2024-06-28.yaml --profile laptop

test: $(READY)
	@$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder -m "not alone"
	@$(BIN)/python -m pytest -m alone

lint: $(READY)
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m pytest tests/test_import_budget.py

bench: $(READY)
	@$(BIN)/python bench/run.py

fuzz: $(READY)
	@$(BIN)/python -m tests.fuzz.run

docs: $(READY)
	@$(BIN)/python docs/make.py

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
