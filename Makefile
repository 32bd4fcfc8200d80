# Graft. `make demo` and `make test` install what they need first; nothing is written outside this folder but package caches.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c
PYTHON ?= python3
BIN := .venv/bin
UV := .tools/bin/uv
# Two files of tests at a time; the tests of one file share its fixtures.
SHARED := -n 2 --dist loadfile
# A kernel runs in its caller's thread: two workers whose kernels each want both cores wait for one another.
ALONE := TF_NUM_INTRAOP_THREADS=1
# TensorFlow turns oneDNN on by itself on newer CPUs, with other kernels: no result of a test shall depend on that.
NO_ONEDNN := TF_ENABLE_ONEDNN_OPTS=0 $(ALONE)
SEED := 0
MINUTES := 10
GRAPH = TF_ENABLE_ONEDNN_OPTS=1 $(ALONE) $(BIN)/python -m pytest -q -m graph $(SHARED) tests/models
# uv does not read pip's configuration: take the package index from there, where one is set.
INDEX := $(or $(PIP_INDEX_URL),$(shell $(PYTHON) -m pip config get global.index-url 2>/dev/null))
ifneq ($(INDEX),)
export UV_DEFAULT_INDEX ?= $(INDEX)
endif
export UV_COMPILE_BYTECODE := 1
export TF_USE_LEGACY_KERAS := 0
export VIRTUAL_ENV := $(CURDIR)/.venv

.PHONY: help demo test graph check audit fuzz soak lock install format clean

help: ## what each target does
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: .venv/.installed ## the locked environment in .venv

.venv/.installed: requirements.lock requirements-tfx121.lock setup.py scripts/preflight.sh scripts/stack.sh
	@scripts/preflight.sh "$(PYTHON)"
	@$(MAKE) -s $(UV)
	@test -x $(BIN)/python || $(UV) venv -q .venv --python "$(PYTHON)"
	@echo "installing the locked environment (about 3.6 GB) ..."
	@$(UV) pip sync -q --require-hashes --compile-bytecode $$(scripts/stack.sh "$(PYTHON)")
	@$(UV) pip install -q --no-deps --no-build-isolation -e .
	@touch $@

demo: install ## the main job on handwritten digits, no network needed
	@$(BIN)/graft demo

test: install ## every test, and those of the graph with oneDNN too
	@failed=0; \
	$(NO_ONEDNN) $(BIN)/python -m pytest -q $(SHARED) || failed=1; \
	$(GRAPH) || failed=1; \
	exit $$failed

graph: install ## the tests of what touches the graph, with oneDNN
	@$(GRAPH)

check: install ## format, lint, import contracts, types, quick tests
	@$(BIN)/ruff format --check -q .
	@$(BIN)/ruff check -q .
	@$(BIN)/lint-imports --no-cache | tail -4
	@mkdir -p .tools/link && ln -sfn ../.. .tools/link/graft && $(BIN)/mypy
	@$(NO_ONEDNN) $(BIN)/python -m pytest -q -m "not slow" $(SHARED)

format: install ## mends format and lint
	@$(BIN)/ruff format -q . && $(BIN)/ruff check -q --fix .

audit: install ## known vulnerabilities of the locked packages, and which of them are reachable
	@test -x .tools/audit/bin/pip-audit || { $(UV) venv -q .tools/audit --python "$(PYTHON)" && \
		$(UV) pip sync -q --require-hashes --python .tools/audit/bin/python requirements-audit.lock; } || \
		echo "pip-audit could not be installed; the list alone is used"
	@$(BIN)/python scripts/audit.py $$(test -x .tools/audit/bin/pip-audit && echo --pip-audit .tools/audit/bin/pip-audit)

fuzz: install ## 100,000 random requests and 20,000 mutated files against the real entry points (SEED=0)
	@TF_CPP_MIN_LOG_LEVEL=3 $(BIN)/python -W ignore tests/attack/fuzz_requests.py --requests 100000 --seed $(SEED) --time-limit 2400
	@TF_CPP_MIN_LOG_LEVEL=3 $(BIN)/python -W ignore tests/attack/fuzz_files.py --files 20000 --seed $(SEED) --time-limit 2400

soak: install ## ten minutes of valid and invalid requests while versions are swapped (MINUTES=10)
	@TF_CPP_MIN_LOG_LEVEL=3 $(BIN)/python -W ignore tests/attack/soak.py --minutes $(MINUTES) --seed $(SEED)

# uv itself is pinned and hashed; pip installs it, whatever the index.
$(UV): requirements-uv.lock
	@test -x .tools/bin/python || $(PYTHON) -m venv .tools
	@.tools/bin/python -m pip install -q --require-hashes -r requirements-uv.lock
	@touch $@

lock: $(UV) ## renews the locks from setup.py and pyproject.toml
	@$(UV) pip compile -q setup.py --extra dev --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --upgrade -o requirements.lock
	@$(UV) pip compile -q setup.py --config-file requirements-tfx121.toml --extra dev --universal --python-version 3.12 --generate-hashes --no-emit-index-url --no-header --upgrade -o requirements-tfx121.lock
	@echo pip-audit | $(UV) pip compile -q - --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --upgrade -o requirements-audit.lock
	@echo uv | $(UV) pip compile -q - --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --upgrade -o requirements-uv.lock

clean: ## removes the environment and the runs
	@rm -rf .venv .tools runs
