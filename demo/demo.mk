# Included by the Makefile: the embedded fleet of demo/ and inventories/demo.
DRAIN ?= true
# supervisord or systemd (your own: systemctl --user); haproxy or nginx
MANAGER ?= supervisord
BALANCER ?= haproxy
DEMO_PARTS = --manager '$(MANAGER)' --balancer '$(BALANCER)'

.PHONY: demo demo-up demo-down

demo: | venv ## Upgrade a fleet on this machine, under traffic (DRAIN=false, MANAGER=systemd, BALANCER=nginx)
	@$(VENV)/bin/python -m demo run --drain '$(DRAIN)' $(DEMO_PARTS)

demo-up: | venv ## Start that fleet on gunicorn 20.0.1 with traffic on it, and leave it running
	@$(VENV)/bin/python -m demo up $(DEMO_PARTS)

demo-down: | venv ## End that fleet and its traffic
	@$(VENV)/bin/python -m demo down
