# Included by the Makefile: the embedded fleet of demo/ and inventories/demo.
DRAIN ?= true

.PHONY: demo demo-up demo-down

demo: | venv ## Upgrade a fleet on this machine, under traffic (DRAIN=false: see what draining saves)
	@$(VENV)/bin/python -m demo run --drain '$(DRAIN)'

demo-up: | venv ## Start that fleet on gunicorn 20.0.1 with traffic on it, and leave it running
	@$(VENV)/bin/python -m demo up

demo-down: | venv ## End that fleet and its traffic
	@$(VENV)/bin/python -m demo down
