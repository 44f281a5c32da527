# The routine tasks. Each target sets up what it needs. `make` lists them.
# PYTHON=python3.12 make test: with another interpreter (3.11 or later).

PYTHON ?= python3
SEEDS ?= 200
WORKERS ?= 2
# What random tests draw: it stands in the command that make prints, and with it a failure comes again.
DRAW ?= $(shell od -An -N4 -tu4 /dev/urandom | tr -d ' ')
N ?= 20
# Which mutants are drawn: others for each commit.
COMMIT ?= $(shell git rev-parse HEAD 2>/dev/null || echo 1)
BIN := .venv/bin

# Programs without an ending, which ruff does not find by itself.
PYTHON_SCRIPTS := scripts/make-base-images scripts/make-protos

.PHONY: help run test usertest deep mutants lint format bench sim protos images wheelhouse clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: .venv/installed ## a cluster on this machine, with a demo app; Ctrl-C ends it
	@# The first demo that can run here: in containers if an engine has or gets the image.
	$(BIN)/mezzo up --demo examples/hello-docker.json --demo examples/hello.json

test: .venv/installed ## all tests, on a real Docker engine, ZooKeeper and browser
	scripts/setup-test-host
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup --hypothesis-seed=$(DRAW) $(PYTEST)

# What depends on rights: users, folders, processes, ports, and the commands. The rest is the same
# for everybody, and what needs a Docker engine of its own is for root.
USERTEST := tests/unit/agent tests/unit/cli tests/unit/kernel tests/integration/agent/test_agent_process.py \
	tests/integration/agent/test_process_tasks.py tests/integration/agent/test_process_checks.py \
	tests/integration/agent/test_process_hostile.py \
	tests/integration/agent/test_agent_volumes.py tests/integration/cluster/test_daemon.py tests/integration/cluster/test_up.py \
	tests/integration/marathon/test_marathon_api.py tests/integration/master/test_master_process.py

usertest: ## as root: what depends on rights, once more as an unprivileged user
	scripts/test-as-user $(USERTEST) $(PYTEST)

deep: .venv/installed ## every property and state machine with 50 times its examples: an hour
	$(BIN)/python -m pytest -n $(WORKERS) -m hypothesis --examples-times 50 --hypothesis-seed=$(DRAW) tests/unit $(PYTEST)

mutants: .venv/installed ## plant random bugs into the cores, say who finds them: make mutants N=20
	$(BIN)/python -m tests.mutation --count $(N) --seed $(COMMIT) --jobs $(WORKERS)

lint: .venv/installed-dev ## style, types, and who may import whom
	$(BIN)/ruff check . $(PYTHON_SCRIPTS)
	$(BIN)/ruff format --check . $(PYTHON_SCRIPTS)
	PYTHON=$(BIN)/python scripts/check-wheel

format: .venv/installed-dev ## rewrite the code in the house's format
	$(BIN)/ruff check --fix . $(PYTHON_SCRIPTS)
	$(BIN)/ruff format . $(PYTHON_SCRIPTS)

bench: .venv/installed ## the benchmarks: one line of JSON for each measurement
	@set -e; for bench in bench/[!_]*.py; do $(BIN)/python "$$bench"; done

sim: .venv/installed ## simulated clusters under faults: make sim SEEDS=200
	$(BIN)/python -m mezzo.sim --seeds $(SEEDS)

protos: .venv/installed ## generate mezzo/wire/v1 from protos/
	$(BIN)/python scripts/make-protos

images: .venv/installed ## base images for the engine at DOCKER_HOST, if it can pull none
	scripts/setup-test-host
	$(BIN)/python scripts/make-base-images

wheelhouse: build/wheelhouse/complete ## what the Dockerfile installs, for builds without an index

clean: ## remove what was built; .venv stays
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "mezzo needs Python 3.11")'
	$(PYTHON) -m venv .venv

.venv/installed: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	@touch $@

.venv/installed-dev: .venv/installed
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

build/wheelhouse/complete: pyproject.toml | .venv/installed
	rm -rf build/wheelhouse
	$(BIN)/python -m pip wheel --quiet --wheel-dir build/wheelhouse . 'setuptools>=77' wheel
	rm -r build/wheelhouse/mezzo-*.whl build/lib build/bdist.*
	@touch $@
