# Included by the Makefile: the embedded fleet of demo/ and inventories/demo.
PYTHON ?= $(VENV)/bin/python
DRAIN ?= true

.PHONY: demo demo-up demo-down

demo: | venv ## Upgrade an embedded fleet under traffic, on this machine (DRAIN=false: lose requests)
	@$(PYTHON) -m demo run --drain "$(DRAIN)"

demo-up: | venv ## Start that fleet on gunicorn 20.0.1 with traffic, and leave it running
	@$(PYTHON) -m demo up

demo-down: | venv ## End the demo fleet and its traffic
	@$(PYTHON) -m demo down
