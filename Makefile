# A fresh clone needs only make and Python 3.11 or newer: every target builds the environment that it needs.
PYTHON ?= python3
BIN := .venv/bin
VENV := .venv/.ok

.DEFAULT_GOAL := help
.PHONY: help venv proto reference lock demo serve test test-long unit test-install test-container check bench bench-full profile \
	web icons screenshots install-figures model simulate chaos flood fuzz soak clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

venv: $(VENV) ## create .venv with everything needed to work on Askback

# A stamp file, because the folder's time does not say whether the install finished.
$(VENV): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "Askback needs Python 3.11 or newer; name one with make PYTHON=...")'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable '.[server,dev]'
	@touch $@

proto: $(VENV) ## generate client/askback/v1 and the page's types from protos/, and gen/go where Go is installed
	$(BIN)/python scripts/gen_protos.py
	$(BIN)/python scripts/gen_go.py
	$(BIN)/python scripts/gen_web_types.py

web: $(VENV) ## build the page of client/web into client/askback/web/static; needs node and npm
	$(BIN)/python scripts/gen_web_types.py
	$(BIN)/python scripts/web_build.py

icons: $(VENV) ## draw the PNG icons of the page from client/web/public/icon.svg; needs Chromium
	$(BIN)/python -m scripts.web_icons

screenshots: $(VENV) ## take docs/pictures/web-*.png of the page; needs Chromium; names of pictures in ARGS
	$(BIN)/python -m scripts.web_pictures $(ARGS)

reference: $(VENV) ## generate docs/reference from the contract, the command line, the settings and the SDK
	$(BIN)/python -m scripts.reference

lock: $(VENV) ## pin the container's packages; ARGS=--upgrade upgrades all of them
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/python scripts/lock.py $(ARGS)

demo: ## watch a job ask and get its answers; creates a small environment, .venv-demo
	@$(PYTHON) scripts/demo.py $(ARGS)

serve: $(VENV) ## run the service on this machine
	$(BIN)/askback serve

# Much of a test's time is spent waiting for processes: three at once suit two cores. Four end a tenth sooner, and
# take a fifth more CPU time, because they share the caches of the cores. PROCESSES=0 for a debugger.
PROCESSES ?= 3
TESTS := $(BIN)/python -m pytest -q -n $(PROCESSES) --dist worksteal --ignore tests/install --ignore tests/container
test: $(VENV) ## run the tests; more arguments in ARGS
	$(TESTS) -m 'not long' $(ARGS)

test-long: $(VENV) ## run the tests with the marker `long`: the page in Chromium, loads with kills, documentation and examples, checkers; more arguments in ARGS
	$(TESTS) -m long $(ARGS)

unit: $(VENV) ## run the unit tests only, for the inner loop: few examples of Hypothesis; more arguments in ARGS
	$(BIN)/python -m pytest -q -n 2 --dist worksteal --hypothesis-profile few tests/unit $(ARGS)

# Other tests make their temporary files in memory (tests/support/memory_folder.py). These have gigabytes of them.
ON_DISK := TMPDIR="$${TMPDIR:-/tmp}"
test-install: $(VENV) ## build the wheel and install it in every way; needs a package index
	$(ON_DISK) $(BIN)/python -m pytest -q -rs tests/install $(ARGS)

test-container: $(VENV) ## build the image with buildah and answer a prompt in it; needs root
	$(ON_DISK) $(BIN)/python -m pytest -q -rs tests/container $(ARGS)

check: $(VENV) ## lint, format, types, import contracts, protos, generated files; no tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/buf lint protos
	$(BIN)/buf format protos --diff --exit-code
	PATH="$(CURDIR)/$(BIN):$$PATH" scripts/buf_breaking.sh
	$(BIN)/python scripts/gen_protos.py --check
	$(BIN)/python scripts/gen_states.py --check
	$(BIN)/python -m scripts.reference --check
	$(BIN)/python scripts/lock.py --check
	$(BIN)/python scripts/gen_web_types.py --check
	$(BIN)/python scripts/web_build.py --check

model: $(VENV) ## compare engine and storage with the reference model, at length; EXAMPLES=n
	ASKBACK_MODEL_EXAMPLES=$(or $(EXAMPLES),1000) $(BIN)/python -m pytest -q tests/model -k reference $(ARGS)

simulate: $(VENV) ## run schedules of the streams in virtual time; ARGS="--schedules N --seed S"
	$(BIN)/python -m tests.simulate $(ARGS)

bench: $(VENV) ## compare with the floors in paired rounds, in about 10 minutes; ARGS="--only sqlite --only trips --rounds N"
	$(BIN)/python -m tests.bench $(ARGS)

# py-spy is no dependency: it has no wheel for some platforms.
profile: $(VENV) ## show where the CPU of a trip goes: flame graphs, buckets, instructions; ARGS="--only sqlite"
	$(BIN)/python -m pip install --quiet py-spy || echo "py-spy has no wheel for this platform: install it by other means"
	$(BIN)/python -m tests.bench.profile $(ARGS)

bench-full: $(VENV) ## measure how costs grow, each case below 15 minutes; CASES=a,b; ARGS="--db sqlite --scale 0.01"
	$(BIN)/python -m tests.bench.full $(CASES) $(ARGS)

install-figures: $(VENV) ## measure the size of an install and the start time; more arguments in ARGS
	$(BIN)/python -m tests.install $(ARGS)

chaos: $(VENV) ## inject faults for ten minutes from a random seed and check the history; 10,000 forbidden calls; ARGS="--seed N --minutes M"
	$(BIN)/python -m tests.hostile authorisation
	$(BIN)/python -m tests.faults $(ARGS)

fuzz: $(VENV) ## send malformed input for minutes while a normal client works; ARGS="--seed N --minutes M"
	$(BIN)/python -m tests.hostile fuzz $(ARGS)

flood: $(VENV) ## measure the memory of a thousand streams that never read, for each kind; ARGS="--streams N --kinds pages"
	$(BIN)/python -m tests.hostile flood $(ARGS)

HOURS ?= 1
soak: $(VENV) ## run chaos for HOURS=n, one seed after another
	$(BIN)/python -m tests.faults --hours $(HOURS) $(ARGS)

clean: ## remove caches and builds; keep environments and databases
	rm -rf dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find client server scripts tests -name __pycache__ -type d -prune -exec rm -rf {} +
