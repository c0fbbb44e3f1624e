# The documentation as its users read it. Its tools have a virtualenv of their own: antsibull brings an Ansible.
VENV_DOCS := .venv-docs
DOCS_BIN := $(CURDIR)/$(VENV_DOCS)/bin

$(VENV_DOCS)/.ready: requirements-docs.txt
	@test -n '$(PYTHON)' || { echo 'make: no Python 3.11 or newer found; install one or say make PYTHON=/path/to/python3' >&2; exit 1; }
	@echo 'Installing what reads the documentation into $(VENV_DOCS) ...'
	@rm -rf $(VENV_DOCS) && $(PYTHON) -m venv $(VENV_DOCS)
	@$(VENV_DOCS)/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

.PHONY: docs-lint
docs-lint: $(VENV_DOCS)/.ready ## Every plugin and role is documented, every file has its license
	PATH=$(DOCS_BIN):$$PATH antsibull-docs lint-collection-docs --plugin-docs .
	$(DOCS_BIN)/reuse lint --quiet || { $(DOCS_BIN)/reuse lint --lines; exit 1; }

# antsibull wants a directory that only its owner can write to.
SITE := $(CURDIR)/.cache/docs
.PHONY: docs
docs: $(VENV_DOCS)/.ready ## The documentation as a site in .cache/docs/html; a warning is an error
	@rm -rf $(SITE) && mkdir -p -m 700 $(SITE)/source/reference
	$(DOCS_BIN)/python docs/site/pages.py $(SITE)/source
	PATH=$(DOCS_BIN):$$PATH ANSIBLE_COLLECTIONS_PATH=$(CURDIR)/.collections $(DOCS_BIN)/antsibull-docs \
		--config-file docs/site/antsibull-docs.cfg collection --use-current --squash-hierarchy --fail-on-error \
		--dest-dir $(SITE)/source/reference fleetops.gunicorn >/dev/null
	$(DOCS_BIN)/sphinx-build -q -W -n --keep-going -b html -c docs/site $(SITE)/source $(SITE)/html
	@echo 'docs: $(SITE)/html/index.html'

.PHONY: awx
awx: venv-dev ## Write extensions/awx/templates.yml anew, from what roles/settings declares
	python -m docs.awx_templates

.PHONY: ee-collection
ee-collection: build ## Build the collection under the name by which execution-environment.yml takes it
	cp "$$(ls -t dist/fleetops-gunicorn-*.tar.gz | head -1)" dist/fleetops-gunicorn.tar.gz

.PHONY: recording
recording: venv-dev ## Record `make demo` as docs/images/demo.svg
	python -m docs.recording docs/images/demo.svg make demo
