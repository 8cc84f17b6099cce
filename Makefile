# Every target first makes .venv or brings it up to date, if necessary (requirements/make-venv.sh).
SHELL = /bin/sh
# .venv has the newest suitable Python; PYTHON_VERSION=3.10 selects a version, in .venv-3.10.
PYTHON_VERSION =
VENV = .venv$(addprefix -,$(PYTHON_VERSION))
PYTHON = $(VENV)/bin/python
# Each process starts its own services. Tests wait a good part of their time, so there are more processes than cores.
TEST_PROCESSES = 3
# The tests of a file run in one process; tests/support/markers.py orders the files.
SHARED_OUT = --numprocesses $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder
FAULTS = 200
RANKS = 1
SEED = 1
ONLY =
BEFORE = HEAD~100
unexport PYTHONPATH PYTHONHOME PYTHONDONTWRITEBYTECODE
export PYTHON_VERSION
export ORT_DISABLE_TELEMETRY ?= 1

.DEFAULT_GOAL = help
.PHONY: help environment torch demo run screenshots test test-torch quick coverage fuzz chaos crowds lint types lock audit bench bench-accuracy gpu-check scale docker-check clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1@\2/p' Makefile | awk -F@ '{ printf "%-16s %s\n", $$1, $$2 }'

environment: ## make .venv with the newest suitable Python, or the one of PYTHON_VERSION=; every target below does so
	@sh requirements/make-venv.sh

torch: ## make .venv-torch with PyTorch, which trains on GPUs that MXNet has no code for: 3 GB to download, 6 GB on disk
	@sh requirements/make-venv.sh torch

demo: environment ## from nothing to a trained classifier, in one command
	@exec $(PYTHON) -m digits_project.demo

run: environment ## the server on http://127.0.0.1:5000/ until Ctrl-C
	@exec $(PYTHON) -m digits_project.stack

test: environment ## all tests, against a real PostgreSQL and a real Valkey; PYTHON_VERSION=3.10 for another Python
	@$(PYTHON) -m pytest $(SHARED_OUT)

test-torch: environment torch ## of all tests only those that need PyTorch, six minutes
	@$(PYTHON) -m pytest $(SHARED_OUT) -m torch

quick: environment ## tests without a browser, without training and without the mark slow: a first verdict
	@$(PYTHON) -m pytest $(SHARED_OUT) -m "not browser and not trainer and not slow"

coverage: environment ## make quick with the coverage of lines and branches; fails below the floor in pyproject.toml
	@$(PYTHON) -m pytest $(SHARED_OUT) -m "not browser and not trainer and not slow" --cov --cov-report=term:skip-covered

fuzz: environment ## every operation of the API with hundreds of random requests, some minutes
	@FUZZ_EXAMPLES=300 $(PYTHON) -m pytest tests/api/test_fuzz.py tests/api/test_hostile.py --timeout 900

chaos: environment ## 200 random faults against a whole server under load, half an hour; FAULTS=, SEED=, RANKS=
	@exec $(PYTHON) -m tests.chaos --faults $(FAULTS) --seed $(SEED) --ranks $(RANKS)

crowds: environment ## the hostile crowds of the tests at twice their size, one by one and together, on an idle machine; five minutes
	@ATTACKS=2 $(PYTHON) -m pytest tests/server/test_security_crowds.py --timeout 300 -s

lint: environment ## ruff, bandit, types, import contracts, missing migrations, missing wheels of packages
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m ruff format --check .
	@$(PYTHON) -m bandit -q -c pyproject.toml -r . 2>$(VENV)/bandit.log || { cat $(VENV)/bandit.log; exit 1; }
	@$(PYTHON) -c 'from importlinter.cli import lint_imports_command; lint_imports_command()'
	@cd client && $(abspath $(PYTHON)) -c 'from importlinter.cli import lint_imports_command; lint_imports_command()'
	@$(PYTHON) -W ignore::RuntimeWarning manage.py makemigrations --check --dry-run # without a database it warns
	@$(PYTHON) tools/check_types.py
	@$(PYTHON) requirements/lock.py --check

types: environment ## mypy with the plugins for Django and DRF
	@$(PYTHON) tools/check_types.py

lock: environment ## write requirements/*.txt from requirements/*.in; UPGRADE=--upgrade takes newer versions
	@$(PYTHON) requirements/lock.py $(UPGRADE)

audit: environment ## look up known vulnerabilities of all packages; also fails if a lookup fails
	@$(PYTHON) requirements/audit.py

bench: environment ## speed against PyTorch, LitServe, OpenCV, bare loops, on an idle machine; 25 minutes; ONLY=serving
	@$(PYTHON) -m benchmarks --save --only "$(ONLY)"

bench-accuracy: environment ## what recipes reach, in which time, on an idle machine; an hour; BENCH_DATA= ONLY= RECIPES= FOLDS= FOLDER= TIMM=1
	@$(PYTHON) -m benchmarks.accuracy $(addprefix --only ,$(ONLY)) $(addprefix --recipes ,$(RECIPES)) $(addprefix --folds ,$(FOLDS)) \
	  $(if $(FOLDER),--folder "$(FOLDER)") $(if $(TIMM),--timm-python "$(or $(DIGITS_TORCH_PYTHON),.venv-torch/bin/python)")

gpu-check: environment ## the tests of engines on a GPU, and what it does for a training, with two GPUs too; ten minutes
	@$(PYTHON) -m benchmarks.gpu $(if $(DIGITS_TORCH_PYTHON),--torch-python "$(DIGITS_TORCH_PYTHON)")

scale: environment ## what a unit costs as images, jobs and clients grow, drawn into docs/pictures; ten minutes; ONLY=jobs LARGEST=1
	@$(PYTHON) -m benchmarks.scale $(addprefix --only ,$(ONLY)) $(if $(LARGEST),--largest)

screenshots: environment ## pictures of the pages into docs/images, from a server of its own with the demo's jobs; needs Chromium
	@$(PYTHON) -m tools.make_screenshots

docker-check: environment ## the images and compose files with a real Docker daemon, as root; a quarter of an hour; BEFORE= PULL=1 GPU=1 FOLDER=
	@$(PYTHON) -m tests.docker --before "$(BEFORE)" $(addprefix --folder ,$(FOLDER)) $(if $(PULL),--pull) $(if $(GPU),--gpu)

clean: ## remove .venv, .venv-torch and caches; the data of the server in ./var stays
	rm -rf .venv .venv-3.* .venv-torch .pytest_cache .ruff_cache .import_linter_cache .mypy_cache .coverage .coverage.*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
