# Two commands do all set-up: `make demo` and `make test`. Each makes .venv and installs what it needs, once.
PYTHON ?= python3
REPRO_DATA ?= $(abspath $(wildcard ../shared/data))
export REPRO_DATA
export MLFLOW_DISABLE_TELEMETRY = true
VENV := .venv
PYTEST := $(VENV)/bin/python -m pytest

.PHONY: demo test test-all coverage verify bench lint format lock clean

demo: $(VENV)/.installed ## judge real claims in a few minutes; ends with verdicts and the pages
	$(VENV)/bin/repro demo

test: $(VENV)/.installed-test lint ## the fast suite
	$(PYTEST) -n 2 -m "not slow"

test-all: test ## everything: the fast suite, then slow faults, simulations, browsers
	$(PYTEST) -n 2 -m slow

coverage: $(VENV)/.installed-test ## everything once more while lines are counted, which takes half as long again; at least 90 %
	rm -f .coverage .coverage.*
	$(PYTEST) -n 2 --cov --cov-report=term:skip-covered --cov-fail-under=90

verify: $(VENV)/.installed ## judge all published results again from their rows
	$(VENV)/bin/repro verify docs/results

lint: $(VENV)/.installed-test
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

bench: $(VENV)/.installed-test ## speed as ratios, side by side in one run
	$(VENV)/bin/python -m benchmarks

lock: ## write down what is installed, for the container (docs/reproducible_runs.md)
	$(VENV)/bin/python -m repro.launch.rerun.write_lock > requirements.lock.new
	mv requirements.lock.new requirements.lock

format: $(VENV)/.installed-test
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

$(VENV)/.installed: pyproject.toml setup.py
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --editable .
	touch $@

$(VENV)/.installed-test: pyproject.toml setup.py
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --editable '.[test]'
	touch $@ $(VENV)/.installed

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
