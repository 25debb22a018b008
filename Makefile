# Every target makes .venv when it is missing or pyproject.toml has changed. PYTHON=... chooses the interpreter.

.DEFAULT_GOAL := help
.PHONY: help demo test bench servers lint format clean

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

test: lint ## check style, types and imports, then run every test
	@$(BIN)/pytest

bench: $(FOR_WORK) ## measure on a temporary SQLite file, or on a server: make bench STORE=postgresql://...
	@$(BIN)/python -m benchmarks all $(if $(STORE),--store '$(STORE)')

sweep: $(FOR_WORK) ## judge every change of the clocks of every zone; takes minutes
	@$(BIN)/pytest -m sweep tests/unit/triggers

servers: $(FOR_WORK) ## install what the tests need of PostgreSQL and MariaDB (Debian packages)
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
	$(BIN)/python -m tests.servers

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
