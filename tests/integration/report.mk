# Included by the Makefile: pictures of a report in a real browser, to be looked at.
REPORT ?= $(lastword $(sort $(wildcard .cache/reports/*.html)))
SCREENS ?= .cache/screens

.PHONY: report-screens
report-screens: | venv-dev ## Show a report in Chromium, on a phone and wide, light and dark (REPORT=page.html)
	@test -n '$(REPORT)' || { echo 'make: no report below .cache/reports: run a playbook first, or say REPORT=page.html' >&2; exit 1; }
	@python -m tests.integration.report_support '$(REPORT)' '$(SCREENS)'
