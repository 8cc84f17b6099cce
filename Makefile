# Every target makes .venv first, or brings it up to date, when it has to (requirements/make-venv.sh).
SHELL = /bin/sh
# The newest suitable Python, in .venv; with PYTHON_VERSION=3.10 that one, in .venv-3.10.
PYTHON_VERSION =
VENV = .venv$(addprefix -,$(PYTHON_VERSION))
PYTHON = $(VENV)/bin/python
# Each with services of its own. Tests wait a good part of their time, so more than there are cores.
TEST_PROCESSES = 3
# A file's tests stay in one process; the order of the files is that of tests/support/markers.py.
SHARED_OUT = --numprocesses $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder
FAULTS = 200
SEED = 1
unexport PYTHONPATH PYTHONHOME PYTHONDONTWRITEBYTECODE
export PYTHON_VERSION
export ORT_DISABLE_TELEMETRY ?= 1

.DEFAULT_GOAL = help
.PHONY: help environment demo run test quick coverage fuzz chaos crowds lint types lock audit bench clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1@\2/p' Makefile | awk -F@ '{ printf "%-16s %s\n", $$1, $$2 }'

environment: ## make .venv with the newest suitable Python, or the one of PYTHON_VERSION=; every target below does so
	@sh requirements/make-venv.sh

demo: environment ## from nothing to a trained classifier, in one command
	@exec $(PYTHON) -m digits_project.demo

run: environment ## the server on http://127.0.0.1:5000/ until Ctrl-C
	@exec $(PYTHON) -m digits_project.stack

test: environment ## all tests, against a real PostgreSQL and a real Valkey; PYTHON_VERSION=3.10 for another Python
	@$(PYTHON) -m pytest $(SHARED_OUT)

quick: environment ## the tests that need no browser, train nothing and are not slow: a first verdict
	@$(PYTHON) -m pytest $(SHARED_OUT) -m "not browser and not trainer and not slow"

coverage: environment ## the tests of make quick with the lines and branches that they ran; fails below the floor in pyproject.toml
	@$(PYTHON) -m pytest $(SHARED_OUT) -m "not browser and not trainer and not slow" --cov --cov-report=term:skip-covered

fuzz: environment ## every operation of the API with hundreds of random requests, some minutes
	@FUZZ_EXAMPLES=300 $(PYTHON) -m pytest tests/api/test_fuzz.py tests/api/test_hostile.py --timeout 900

chaos: environment ## 200 random faults against a whole server that works all the time, half an hour; FAULTS=, SEED=
	@exec $(PYTHON) -m tests.chaos --faults $(FAULTS) --seed $(SEED)

crowds: environment ## twice the hostile crowds of the tests, each and all at once, on an idle machine; five minutes
	@ATTACKS=2 $(PYTHON) -m pytest tests/server/test_security_crowds.py --timeout 300 -s

lint: environment ## ruff, bandit, types, import contracts, missing migrations, and whether every package has its wheels
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m ruff format --check .
	@$(PYTHON) -m bandit -q -c pyproject.toml -r . 2>$(VENV)/bandit.log || { cat $(VENV)/bandit.log; exit 1; }
	@$(PYTHON) -c 'from importlinter.cli import lint_imports_command; lint_imports_command()'
	@$(PYTHON) -W ignore::RuntimeWarning manage.py makemigrations --check --dry-run # without a database it warns
	@$(PYTHON) tools/check_types.py
	@$(PYTHON) requirements/lock.py --check

types: environment ## mypy with the plugins for Django and DRF; no error but those of tools/type_errors.txt
	@$(PYTHON) tools/check_types.py

lock: environment ## write requirements/*.txt anew from requirements/*.in; UPGRADE=--upgrade takes newer versions
	@$(PYTHON) requirements/lock.py $(UPGRADE)

audit: environment ## whether a package has a known vulnerability; fails too where that can't be found out
	@$(PYTHON) requirements/audit.py

bench: environment ## throughput of training over the image database, against a bare loop
	@$(PYTHON) -m benchmarks.training_throughput

clean: ## remove .venv and caches; what the server stored, in ./var, stays
	rm -rf .venv .venv-3.* .pytest_cache .ruff_cache .import_linter_cache .mypy_cache .coverage .coverage.*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
