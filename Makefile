# Every target makes .venv when it is missing or pyproject.toml has changed. PYTHON=... chooses the interpreter.

.DEFAULT_GOAL := help
.PHONY: help chaos demo django embed test bench model mutants sim sweep servers lint format clean

VENV := .venv
BIN := $(VENV)/bin
PYTHONS := $(or $(PYTHON),python3 python3.14 python3.13 python3.12 python3.11)
INSTALL := $(BIN)/python -m pip --disable-pip-version-check -qq install --editable

FOR_USE := $(VENV)/installed-for-use
FOR_WORK := $(VENV)/installed-for-work

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(FOR_USE) ## run a small fleet for 20 seconds
	@$(BIN)/tickonce demo --seconds 20

test: lint ## check style, types and imports, then run every test: many at a time, then alone those that harm processes
	@$(BIN)/pytest -n auto --dist loadgroup -m "not chaos" || failed=1; \
	$(BIN)/pytest -m chaos && [ -z "$$failed" ]

bench: $(FOR_WORK) ## measure on a temporary SQLite file, or on a server: make bench STORE=postgresql://...
	@$(BIN)/python -m benchmarks all $(if $(STORE),--store '$(STORE)')

sweep: $(FOR_WORK) ## judge every change of the clocks of every zone; takes minutes
	@$(BIN)/pytest -m sweep tests/unit/triggers

model: $(FOR_WORK) ## search the model of the protocol further than the tests do; takes minutes
	@$(BIN)/python -m tests.model

mutants: $(FOR_WORK) ## take out each rule in turn: a test or a simulated fleet must see it; takes a quarter of an hour
	@$(BIN)/python -m tests.mutants

sim: $(FOR_WORK) ## simulate fleets with faults: make sim SEEDS=1000, or one with its trace: make sim SEED=123
	@$(BIN)/python -m tickonce.testing.simulation $(if $(SEED),--seed $(SEED) --trace,--seeds $(or $(SEEDS),1000)) \
		$(if $(filter undefined,$(origin ONLY)),,--only '$(ONLY)') $(if $(STORE),--store $(STORE))

chaos: $(FOR_WORK) ## harm real nodes and servers at random, and judge: SECONDS=120 STORE=postgresql NODES=5 SEED=n
	@$(BIN)/python -m tests.chaos.storm --seconds $(or $(SECONDS),120) --store '$(or $(STORE),postgresql)' \
		--nodes $(or $(NODES),5) $(if $(SEED),--seed $(SEED))

servers: $(FOR_WORK) ## install what the tests need: PostgreSQL, PgBouncer, MariaDB, libfaketime (Debian packages), uWSGI
	@set -e; packages=$$($(BIN)/python -m tests.servers --packages); \
	if [ -n "$$packages" ]; then \
		as_root=; \
		if ! command -v apt-get >/dev/null; then \
			echo "No apt-get here. Install by hand what Debian calls: $$packages" >&2; exit 1; \
		elif [ "$$(id -u)" != 0 ]; then \
			command -v sudo >/dev/null || { echo "As root: apt-get install $$packages" >&2; exit 1; }; \
			as_root=sudo; \
		fi; \
		echo "installing $$packages"; \
		$$as_root apt-get -qq update; \
		$$as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install $$packages >/dev/null; \
	fi; \
	$(BIN)/python -m pip --disable-pip-version-check -qq install uwsgi || echo "uWSGI could not be built; its tests are left out" >&2; \
	$(BIN)/python -m tests.servers

embed: $(FOR_WORK) ## watch every kind of web server for longer: SECONDS=20 ROUNDS=50
	@TICKONCE_TEST_REQUIRE=postgresql,mysql,uwsgi \
		TICKONCE_EMBED_SECONDS=$(or $(SECONDS),20) TICKONCE_EMBED_ROUNDS=$(or $(ROUNDS),50) \
		$(BIN)/pytest tests/embed/test_gunicorn.py tests/embed/test_uwsgi.py tests/embed/test_asgi.py tests/embed/test_flask.py \
		tests/django/test_example.py tests/django/test_watched.py tests/django/test_processes.py tests/django/test_connections.py \
		tests/examples --durations=50

django: $(FOR_WORK) ## run the tests of Django with another release of it: VERSION=4.2
	@$(BIN)/python -m pip --disable-pip-version-check -qq install --upgrade \
		--target build/django-$(or $(VERSION),4.2) 'django~=$(or $(VERSION),4.2).0'
	@PYTHONPATH=$(CURDIR)/build/django-$(or $(VERSION),4.2) $(BIN)/pytest tests/django

lint: $(FOR_WORK) ## check style, types and imports
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet . || { echo "Not formatted (above, or see ruff format --check): make format" >&2; exit 1; }
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-logo

format: $(FOR_WORK) ## mend style and order of imports in place
	@$(BIN)/ruff check --fix --quiet .
	@$(BIN)/ruff format --quiet .

clean: ## remove what was built: .venv, caches, packages
	@rm -rf $(VENV) build dist .*_cache .hypothesis
	@find src tests -name __pycache__ -prune -exec rm -rf {} +

$(BIN)/python:
	@for candidate in $(PYTHONS); do \
		if $$candidate -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then found=$$candidate; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
		echo "tickonce needs Python 3.11 or newer; tried: $(PYTHONS). Name one: make PYTHON=/path/to/python" >&2; exit 1; \
	fi; \
	$$found -m venv --clear $(VENV) || { \
		rm -rf $(VENV); echo "$$found could not make $(VENV); on Debian: apt-get install python3-venv" >&2; exit 1; \
	}

# One after the other, also under -j: both install into the same place.
$(FOR_USE): pyproject.toml | $(BIN)/python
	@echo "installing tickonce into $(VENV)"
	@$(INSTALL) '.[cli]'
	@touch $@

$(FOR_WORK): $(FOR_USE)
	@echo "installing what its development needs into $(VENV)"
	@$(INSTALL) '.[dev]'
	@touch $@
