# Everything a developer runs. The virtual environment is made from the locked versions by itself.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Five processes keep two processors busy: they mostly wait. Each takes the next test as it is free.
PYTEST := $(BIN)/python -m pytest -n 5 --maxschedchunk 1

# Whatever the caller has set: hundreds of processes import the same modules, which are compiled once.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help setup demo playground test all-tests collected unit lint types contracts house acceptance test-engines bench docs lock image clean

help: ## Show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

$(STAMP): requirements/dev.txt pyproject.toml
	@sh tests/support/packages.sh
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name one with PYTHON=..." >&2; exit 1; }
	@echo "Installing into $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

setup: $(STAMP) ## Install what is missing: system packages (root, Debian or Ubuntu) and the virtual environment

demo: $(STAMP) ## Watch three rotations on real servers; about a minute
	@$(BIN)/python -m demo

playground: $(STAMP) ## A shell on the demo's servers, for the tutorial; gone when you leave it
	@$(BIN)/python -m demo --shell

test: $(STAMP) ## Everything: linters, types, layers, all tests on real servers
	@$(MAKE) --no-print-directory --jobs=2 lint contracts collected
	@$(MAKE) --no-print-directory --jobs=2 all-tests types house

all-tests: $(STAMP)
	$(PYTEST) --ignore tests/house  # `house` runs these, beside this

unit: $(STAMP) ## Only the tests that need no server
	$(BIN)/python -m pytest tests/unit

collected: $(STAMP)
	@# Compiles the tests once, for all processes. What is wrong with one is said when they run.
	@$(BIN)/python -m pytest --collect-only -qq >/dev/null 2>&1 || true

lint: $(STAMP)
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(STAMP)
	$(BIN)/mypy

contracts: $(STAMP)
	$(BIN)/lint-imports

house: $(STAMP) ## The measures of the code, and which branches of the core its own tests take
	$(BIN)/coverage run -m pytest -q tests/house tests/unit/decide tests/unit/model \
		--ignore tests/unit/decide/test_growth.py  # has a tracer of its own
	@$(BIN)/python -m tests.house.branches

acceptance: $(STAMP) ## The whole of the long tests
	BRIDGE_TEST_MODEL=long $(PYTEST) -m "acceptance or not acceptance" --timeout 1800

test-engines: $(STAMP) ## The fidelity of a roll on this engine and on the newest ones that Debian packages
	$(BIN)/python -m pytest -m "engines or not engines" tests/integration/test_fidelity.py

bench: $(STAMP) ## What the bridge costs, each figure beside a control; requests that fail, logins that are refused
	@$(BIN)/python -m tests.bench
	@echo
	@$(BIN)/python -m tests.bench.zero_downtime
	@echo
	@$(BIN)/python -m tests.bench.dual_validity
	@echo
	@$(BIN)/python -m tests.bench.turns

docs: $(STAMP) ## Write the generated parts of the reference anew
	@$(BIN)/python docs/generate.py

lock: $(STAMP) ## Lock the versions of all dependencies anew
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
		--upgrade pyproject.toml -o requirements/run.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
		--upgrade pyproject.toml --group dev -o requirements/dev.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
		--upgrade --group pyproject.toml:image -o requirements/image.txt

# BASE is an image with CPython 3.11 or newer, by its digest. IMAGE is what the result is called.
IMAGE ?= vault-swarm-bridge:$(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
BUILT := build/image
TOOLS := $(BUILT)/tools
image: ## The image, as IMAGE=..., on BASE=...@sha256:...; with its bill of materials in build/image
	@case "$(BASE)" in *?@sha256:*) ;; *) echo "Name the base by its digest: make image BASE=NAME@sha256:..." >&2; exit 2;; esac
	@rm -rf $(BUILT)
	@mkdir -p $(BUILT)/wheels
	@$(PYTHON) -m venv $(TOOLS)
	@$(TOOLS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/image.txt
	@$(TOOLS)/bin/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation \
		--wheel-dir $(BUILT)/wheels .
	@[ -z "$(WHEELS)" ] || cp $(WHEELS)/*.whl $(BUILT)/wheels
	docker build --pull=false $(BUILD_OPTIONS) --build-arg BASE=$(BASE) \
		--build-arg VERSION=$(lastword $(subst :, ,$(IMAGE))) \
		--build-arg REVISION=$$(git rev-parse HEAD 2>/dev/null || echo unknown) \
		$(if $(WHEELS),--build-arg PIP_NO_INDEX=1) $(if $(PIP_INDEX_URL),--build-arg PIP_INDEX_URL) \
		--tag $(IMAGE) .
	@sh image/sbom.sh $(IMAGE) $(BUILT) $(TOOLS)

clean: ## Remove what was installed here
	rm -rf $(VENV) build .engines .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .coverage
