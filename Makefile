# `make` alone lists what there is to do. Everything is safe to run twice.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

PYTHON ?= $(firstword $(shell command -v python3.11 python3))
BIN := .venv/bin
DEMO := CITADEL_DATA_DIR=.demo $(BIN)/citadel
PYTEST_ARGS ?=

.PHONY: help
help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' Makefile | while IFS=$$'\t' read -r name text; do \
	    printf '  make %-11s %s\n' "$$name" "$$text"; done

# --- installing ---------------------------------------------------------------------------------

.PHONY: venv
venv: .venv/.stamp ## create .venv and install the product from the lock

# The interpreter is made once; a venv that was cut short has no pip and is made again over itself.
.venv/bin/pip:
	@test -n "$(PYTHON)" && $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "Python 3.11 or newer is needed: apt-get install python3 python3-venv" >&2; exit 1; }
	@$(PYTHON) -m venv .venv || { rm -rf .venv; \
	    echo "No virtual environment could be made: apt-get install python3-venv" >&2; exit 1; }

# torch goes first and alone: pip then takes the build that its own configuration prefers (a CPU
# build where one is offered), with that build's own dependencies, which the lock can't know.
.venv/.stamp: requirements.lock pyproject.toml | .venv/bin/pip
	@echo "installing the locked packages into .venv (some minutes the first time)"
	@$(BIN)/pip install --quiet --constraint requirements.lock torch
	@$(BIN)/pip install --quiet --no-deps --requirement requirements.lock
	@$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	@$(BIN)/pip check
	@touch $@

.venv/.stamp-dev: requirements-dev.lock .venv/.stamp
	@echo "installing what development needs into .venv"
	@$(BIN)/pip install --quiet --no-deps --requirement requirements-dev.lock
	@$(BIN)/pip check
	@touch $@

.PHONY: lock
lock: ## resolve the newest versions that fit and write both lock files
	@work=$$(mktemp -d); trap 'rm -rf "$$work"' EXIT; \
	wanted() { $(PYTHON) -c "import tomllib; p = tomllib.load(open('pyproject.toml', 'rb'))['project']; print(*p$$1, sep='\n')"; }; \
	frozen() { "$$work/bin/pip" freeze --all --exclude pip | sed 's/+[^ ]*$$//' | LC_ALL=C sort -f; }; \
	wanted "['dependencies']" > "$$work/run.txt"; \
	wanted "['optional-dependencies']['dev']" > "$$work/dev.txt"; \
	$(PYTHON) -m venv "$$work"; \
	"$$work/bin/pip" install --upgrade "$$(grep '^torch' "$$work/run.txt")" "setuptools>=80"; \
	"$$work/bin/pip" install --upgrade --requirement "$$work/run.txt"; \
	frozen > "$$work/run.lock"; \
	"$$work/bin/pip" install --constraint "$$work/run.lock" --requirement "$$work/dev.txt"; \
	frozen > "$$work/all.lock"; \
	if grep -nE ' @ |://|^-' "$$work/all.lock"; then \
	    echo "these were not installed by name and version; the lock would not work elsewhere" >&2; exit 1; fi; \
	{ echo "# Written by \`make lock\` for Python 3.11 on Linux: what the product runs with."; \
	    cat "$$work/run.lock"; } > requirements.lock; \
	{ echo "# Written by \`make lock\`: what development needs on top of requirements.lock."; \
	    LC_ALL=C comm -13 <(LC_ALL=C sort "$$work/run.lock") <(LC_ALL=C sort "$$work/all.lock") \
	    | LC_ALL=C sort -f; } > requirements-dev.lock; \
	wc -l requirements.lock requirements-dev.lock

# --- trying it ----------------------------------------------------------------------------------

# Exit code 3 says that some files could not be read: one of the examples is broken on purpose.
.PHONY: demo-data
demo-data: .venv/.stamp
	@echo '$$ citadel ingest examples/documents'; \
	code=0; $(DEMO) ingest examples/documents || code=$$?; \
	if [ "$$code" -eq 3 ]; then \
	    echo "(exit code 3: the file that could not be read is broken on purpose)"; \
	elif [ "$$code" -ne 0 ]; then exit "$$code"; fi

.PHONY: demo
demo: demo-data ## ingest the examples and answer three questions on the terminal
	@for question in \
	    "How much does the company pay into my pension?" \
	    "How many days of leave does the second parent get?" \
	    "Does the company pay for pet insurance?"; do \
	    echo; echo "\$$ citadel ask \"$$question\""; $(DEMO) ask "$$question"; done

.PHONY: serve
serve: demo-data ## start the API and the page over the examples
	@exec env $(DEMO) serve

# --- checking it --------------------------------------------------------------------------------

.PHONY: check
check: .venv/.stamp-dev ## lint, formatting and strict types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

.PHONY: test-packages
test-packages:
	@tests/install-system-packages.sh

.PHONY: test
test: test-packages check ## install what the tests need, then run checks and tests
	@mkdir -p .artefacts
	@$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not slow and not long and not crash and not vllm" $(PYTEST_ARGS)

.PHONY: test-crash
test-crash: test-packages .venv/.stamp-dev ## kill the ingest a thousand times
	@$(BIN)/pytest -m crash --timeout=0 $(PYTEST_ARGS)

.PHONY: test-long
test-long: test-packages .venv/.stamp-dev ## written answers in the browser, kills: a minute or two
	@mkdir -p .artefacts
	@$(BIN)/pytest -m long $(PYTEST_ARGS)

.PHONY: test-slow
test-slow: test-packages .venv/.stamp-dev ## the tests that take minutes
	@$(BIN)/pytest -m slow --timeout=1800 $(PYTEST_ARGS)

.PHONY: test-vllm
test-vllm: test-packages .venv/.stamp-dev ## install real vLLM servers (2.5 GB) and test against them
	@PYTHON="$(PYTHON)" tests/vllm/install.sh
	@mkdir -p .artefacts
	@$(BIN)/pytest -m vllm $(PYTEST_ARGS)

.PHONY: bench
bench: .venv/.stamp-dev ## measure speed and quality beside their baselines, into BENCHMARKS.md
	@$(BIN)/python -m tests.bench all --write

# --- keeping house ------------------------------------------------------------------------------

.PHONY: examples
examples: .venv/.stamp-dev ## write examples/documents again from examples/content
	@$(BIN)/python examples/generate.py

.PHONY: clean
clean: ## remove .venv, the demo's data and everything that was built
	rm -rf .venv .venv-vllm .demo .artefacts build dist ./*.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
