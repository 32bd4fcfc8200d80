# Graft. `make demo` and `make test` install what they need first; nothing is written outside this folder but package caches.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c
PYTHON ?= python3
BIN := .venv/bin
UV := .tools/bin/uv
# Four files of tests at a time on two cores, as a quarter of the time is waiting (for processes, locks, disks), in the
# order of tests/conftest.py; the tests of one file share its fixtures.
ORDER := --dist loadfile --no-loadscope-reorder
SHARED := -n 4 $(ORDER)
# The quick ones wait for little, and each process more collects all tests once more. Those of seconds are told: mark
# them slow, else the three minutes of `make check` are gone one by one.
QUICK := -n 3 $(ORDER) --durations 5 --durations-min 2
# A kernel or a matrix product runs in its caller's thread: workers that each want all cores wait for one another, a
# product with two threads on busy cores four times as long as with one.
ALONE := TF_NUM_INTRAOP_THREADS=1 OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
# TensorFlow turns oneDNN on by itself on newer CPUs, with other kernels: no result of a test shall depend on that.
NO_ONEDNN := TF_ENABLE_ONEDNN_OPTS=0 $(ALONE)
LOCK = $(UV) pip compile -q --generate-hashes --no-emit-index-url --no-header --upgrade
NEWER := --config-file requirements-tfx121.toml
# The image's Python and C library; what developers need stays out, and the versions are those that the tests ran with.
IN_IMAGE := --python-version 3.13 --python-platform x86_64-manylinux_2_40
# Of the image: ENGINE=docker, podman or buildah where not the first that works; CA=file with certificates of a proxy;
# MIRROR of Debian for image-test.
IN_ENGINE = IMAGE="$(IMAGE)" GPU="$(GPU)" BASE="$(BASE)" ENGINE="$(ENGINE)" CA="$(CA)" MIRROR="$(MIRROR)" INDEX="$(UV_DEFAULT_INDEX)"
SEED := 0
MINUTES := 10
# In the files that have one: to collect the others would take as long as the tests.
GRAPH = TF_ENABLE_ONEDNN_OPTS=1 $(ALONE) $(BIN)/python -m pytest -q -m graph -n 2 $(ORDER) $$(grep -rl --include='test_*.py' 'mark\.graph' tests)
# uv does not read pip's configuration: take the package index from there, where one is set.
INDEX := $(or $(PIP_INDEX_URL),$(shell $(PYTHON) -m pip config get global.index-url 2>/dev/null))
ifneq ($(INDEX),)
export UV_DEFAULT_INDEX ?= $(INDEX)
endif
export UV_COMPILE_BYTECODE := 1
# As images of containers set it: each process of the tests would compile the package anew, seconds of each.
unexport PYTHONDONTWRITEBYTECODE
export TF_USE_LEGACY_KERAS := 0
export VIRTUAL_ENV := $(CURDIR)/.venv

.PHONY: help demo test graph check docs audit image image-test fuzz soak lock install format clean

help: ## what each target does
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

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
	@$(NO_ONEDNN) $(BIN)/python -m pytest -q -m "not slow" $(QUICK)

format: install ## mends format and lint
	@$(BIN)/ruff format -q . && $(BIN)/ruff check -q --fix .

docs: install ## the site of docs/ in site/, with the API reference; a broken link stops it
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@echo "built: site/index.html; with its search: $(PYTHON) -m http.server -d site"

audit: install ## known vulnerabilities of the locked packages, and which of them are reachable
	@test -x .tools/audit/bin/pip-audit || { $(UV) venv -q .tools/audit --python "$(PYTHON)" && \
		$(UV) pip sync -q --require-hashes --python .tools/audit/bin/python requirements-audit.lock; } || \
		echo "pip-audit could not be installed; the list alone is used"
	@$(BIN)/python scripts/audit.py $$(test -x .tools/audit/bin/pip-audit && echo --pip-audit .tools/audit/bin/pip-audit)

image: ## the container image: IMAGE=registry/name:tag, GPU=1 with CUDA's libraries, BASE=debian:trixie-slim
	@$(IN_ENGINE) scripts/image.sh build

image-test: ## builds the image on a base made with debootstrap, looks at its contents and runs a pipeline in it
	@$(IN_ENGINE) scripts/image.sh test

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
	@$(LOCK) setup.py --extra pipeline --extra dev --python-version 3.11 -o requirements.lock
	@$(LOCK) setup.py $(NEWER) --extra pipeline --extra dev --universal --python-version 3.12 -o requirements-tfx121.lock
	@$(LOCK) setup.py $(NEWER) $(IN_IMAGE) --extra pipeline -c requirements-tfx121.lock -o requirements-image.lock
	@$(LOCK) setup.py $(NEWER) $(IN_IMAGE) --extra pipeline --extra gpu -c requirements-image.lock -o requirements-gpu.lock \
		$$(sed -nE 's/^([a-z0-9._-]+)==.*/--no-emit-package \1/p' requirements-image.lock)
	@echo cyclonedx-bom | $(LOCK) - --python-version 3.13 -o requirements-sbom.lock
	@echo pip-audit | $(LOCK) - --python-version 3.11 -o requirements-audit.lock
	@echo uv | $(LOCK) - --python-version 3.11 -o requirements-uv.lock

clean: ## removes the environment and the runs
	@rm -rf .venv .tools runs site
