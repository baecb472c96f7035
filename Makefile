# Every target that runs something sets itself up first, quickly when nothing has changed. ARGS hands more words to the command:
#   make test ARGS="tests/kernel -x"
.DEFAULT_GOAL := help
.PHONY: help setup setup-dev setup-bench demo dev test test-all check bench docs words lock clean

# Stoa is several processes, and each would compile the same modules anew.
unexport PYTHONDONTWRITEBYTECODE

PYTHON := .venv/bin/python
ARGS ?=
UV ?= uv
COMPILE := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header

help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Make .venv with the stoa command in it, and build the assets
	@sh tools/setup.sh run

demo: setup ## Thirty companies provisioned and synced before your eyes (ARGS="--exit --tenants 5")
	@.venv/bin/stoa demo $(ARGS)

dev: setup ## The server and the worker on this machine, with a database of their own
	@.venv/bin/stoa dev $(ARGS)

test: setup-dev ## The tests that need no browser and no foreign suite (under 5 minutes)
	@$(PYTHON) -m pytest -p tests.no_skips -n auto --dist worksteal -m "not all" $(ARGS)

test-all: setup-dev ## The rest: browser, foreign suites, fuzzing, crash sweeps
	@$(PYTHON) -m pytest -p tests.no_skips -n auto --dist worksteal -m "all and not alone" $(ARGS)
	@$(PYTHON) -m pytest -p tests.no_skips -m alone

check: setup-dev ## Lint, format, types, import rules, dependencies, house rules
	@failed=""; \
	run() { printf '\n-- %s\n' "$$*"; "$$@" || failed="$$failed\n  $$*"; }; \
	run .venv/bin/ruff check --quiet; \
	run .venv/bin/ruff format --check --quiet; \
	run .venv/bin/basedpyright; \
	run .venv/bin/lint-imports --no-logo; \
	run .venv/bin/deptry --no-ansi src; \
	run $(PYTHON) -m pytest -p tests.no_skips tests/test_repository.py tests/test_documentation.py; \
	if [ -n "$$failed" ]; then printf "\nFailed:$$failed\n" >&2; exit 1; fi

bench: setup-bench ## The figures of bench/, each against its peer in the same run
	@$(PYTHON) -m bench $(ARGS)

docs: setup-dev ## Check the documentation: links, commands, settings, make targets
	@$(PYTHON) -m pytest -p tests.no_skips tests/test_documentation.py $(ARGS)

words: setup-dev ## Collect the texts that can be translated, for translators (src/stoa/web/locale/stoa.pot)
	@mkdir -p src/stoa/web/locale
	@.venv/bin/pybabel --quiet extract --mapping-file babel.cfg --sort-by-file --width 120 --project Stoa \
		--copyright-holder "" --output-file src/stoa/web/locale/stoa.pot src/stoa

lock: ## Renew the lock files from pyproject.toml and package.json (needs uv and npm)
	$(COMPILE) --upgrade pyproject.toml --extra dev -o requirements/dev.lock
	$(COMPILE) -c requirements/dev.lock pyproject.toml --extra dev --extra bench -o requirements/bench.lock
	$(COMPILE) -c requirements/dev.lock pyproject.toml requirements/build.in -o requirements/run.lock
	$(COMPILE) -c requirements/dev.lock requirements/node.in -o requirements/node.lock
	npm install --package-lock-only --ignore-scripts --omit-lockfile-registry-resolved
	node -e 'const fs = require("fs"), file = "package-lock.json", lock = JSON.parse(fs.readFileSync(file)); for (const one of Object.values(lock.packages)) delete one.funding; fs.writeFileSync(file, JSON.stringify(lock, null, 2) + "\n")'

clean: ## Remove everything that setup made
	rm -rf .venv node_modules src/stoa/web/assets/built src/stoa/web/locale/stoa.pot

setup-dev:
	@sh tools/setup.sh dev

setup-bench:
	@sh tools/setup.sh bench
