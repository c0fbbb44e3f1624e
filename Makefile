# The front door. `make` alone lists the verbs.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
# The first interpreter that is new enough; `make PYTHON=/path/to/python3` chooses another.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.14; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && command -v $$p && break; done)
export PATH := $(BIN):$(PATH)

.PHONY: help
help: ## List the verbs
	@grep -hE '^[a-z][a-z-]*:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/\1\t\2/' | \
		while IFS=$$'\t' read -r verb text; do printf '  make %-16s %s\n' "$$verb" "$$text"; done

# --- the tools ---------------------------------------------------------------------------------

$(VENV)/bin/python:
	@test -n '$(PYTHON)' || { echo 'make: no Python 3.11 or newer found; install one or say make PYTHON=/path/to/python3' >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo 'make: $(PYTHON) cannot make a virtualenv; on Debian: apt-get install python3-venv' >&2; exit 1; }

$(VENV)/.demo: requirements.txt | $(VENV)/bin/python
	@echo 'Installing what the demo needs into $(VENV) ...'
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.demo
	@echo 'Installing what the tests need into $(VENV) ...'
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

.PHONY: venv venv-dev
venv: $(VENV)/.demo
venv-dev: $(VENV)/.dev

-include docs/docs.mk
-include demo/demo.mk
-include molecule/molecule.mk
-include tests/bench/bench.mk
-include tests/integration/report.mk

ONLY ?=

# --- the tests ---------------------------------------------------------------------------------

.PHONY: test lint unit unit-pythons unit-pythons-every integration integration-nightly real-apps replays costs nightly
.PHONY: sanity installed
test: ## Everything: lint, unit, integration on real parts, the installed collection, molecule
	@tests/run.sh

lint: venv-dev ## ruff, mypy, yamllint, ansible-lint, changelog
	ruff check .
	ruff format --check .
	mypy
	yamllint .
	ansible-lint --offline --strict
	antsibull-changelog lint

unit: venv-dev ## Decisions, without a network or a process
	python -m pytest tests/unit

unit-pythons: venv-dev ## What runs on managed hosts, on the oldest and the newest Python found from 3.6 on
	tests/unit_on_each_python.sh

unit-pythons-every: venv-dev ## The same on every Python found
	tests/unit_on_each_python.sh every

# A failure is printed when it happens. Files in the order of their cost (selection.py); one more at a time than CI has
# cores, since a third of the time a test waits.
INTEGRATION := python -m pytest --instafail -n 3 --dist loadfile --no-loadscope-reorder
integration: venv-dev ## Real HAProxy, supervisord, gunicorn and Pythons on loopback
	$(INTEGRATION) -m 'not nightly' tests/integration

integration-nightly: venv-dev ## What of it is too long for CI (tests/integration/nightly.txt)
	$(INTEGRATION) -m nightly tests/integration --ignore tests/integration/real_apps

real-apps: venv-dev ## Applications from the index, upgraded under load and taken back
	python -m pytest --instafail tests/integration/real_apps

replays: venv-dev ## Faults met on other people's fleets, played again (tests/replays.txt)
	grep -oE '^[a-z][^ ]*' tests/replays.txt | sed 's,^,tests/,' | xargs python -m pytest -q

costs: venv-dev ## Weigh the files of the integration tests: tests/integration/cost.txt
	rm -f .cache/cost && WEIGH=$(CURDIR)/.cache/cost $(INTEGRATION) -m 'not nightly' tests/integration
	awk '{split($$2, name, "::"); spent[name[1]] += $$1} END {for (file in spent) printf "%.0f %s\n", spent[file], file}' \
		.cache/cost | sort -rn > tests/integration/cost.txt

nightly: venv-dev ## All that is too long for CI, for hours (ONLY=regex runs some of it)
	ONLY='$(ONLY)' tests/nightly.sh

sanity: venv-dev ## ansible-test sanity, on a copy
	tests/sanity.sh

installed: venv-dev ## Build the collection, install the tarball, and run its playbooks from there
	tests/installed.sh

VENV_EDA := .venv-eda
$(VENV_EDA)/.ready: requirements-eda.txt | $(VENV)/bin/python
	@command -v java >/dev/null || { echo 'make: ansible-rulebook needs a Java; on Debian: apt-get install openjdk-17-jre-headless' >&2; exit 1; }
	@rm -rf $(VENV_EDA) && $(BIN)/python -m venv $(VENV_EDA)
	@$(VENV_EDA)/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

.PHONY: eda
eda: venv-dev $(VENV_EDA)/.ready ## A real ansible-rulebook hears a log shipper and Alertmanager, and runs check.yml
	python -m pytest --instafail tests/eda

.PHONY: chaos stop-rules variables build clean
POINTS ?= 50
chaos: venv-dev ## Break a fleet in every way we know, under traffic (ONLY=regex; POINTS=50 kills)
	python -m tests.chaos --points $(POINTS) --only '$(ONLY)'

stop-rules: venv-dev $(CORE_OLD)/.ready $(CORE_NEW)/.ready ## Every fault in every kind of run, on every ansible-core, with hosts on paper
	python -m tests.stop_rules $(CORE_OLD) $(VENV) $(CORE_NEW)

variables: venv-dev ## Write docs/variables.md anew, from what roles/settings declares
	python docs/variables.py

build: venv-dev ## Build the collection's tarball into dist/
	ansible-galaxy collection build --force --output-path dist

clean: ## Remove what the verbs made (a running demo fleet is ended first)
	@if [ -e .demo ]; then $(MAKE) --no-print-directory demo-down; fi
	rm -rf $(VENV) .venv-core* .venv-docs .venv-eda .cache .demo dist .pytest_cache .hypothesis
