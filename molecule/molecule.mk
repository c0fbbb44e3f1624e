# The fleet in containers; part of ../Makefile. FLEET_ENGINE=docker uses docker instead of podman; FLEET_MANAGER=systemd
# and FLEET_BALANCER=nginx make another fleet for a scenario than supervisord and HAProxy.
MOLECULE_SCENARIOS := default canary bake stage_bake rollback failing_gate deploy_user legacy_python \
	systemd_nginx socket_activation
# What CI has time for: the whole way, the way back, the oldest core with its Pythons, and the newest core.
MOLECULE_IN_CI := default failing_gate legacy_python newest
# The oldest supported ansible-core and the newest, each with what runs its scenarios.
CORE_OLD := .venv-core2.16
CORE_NEW := .venv-core-newest

# $(call molecule,VENV,ARGUMENTS): molecule calls its tools by name and reads what the scenarios share only with -c.
# ANSIBLE_HOME keeps its state in the checkout; state in $$HOME would be shared by checkouts of the same name.
molecule = PATH="$(CURDIR)/$(1)/bin:$$PATH" ANSIBLE_HOME="$(CURDIR)/.cache/ansible" molecule -c molecule/config.yml $(2)

.PHONY: molecule molecule-every molecule-newest molecule-cores $(MOLECULE_SCENARIOS:%=molecule-%)
molecule: $(MOLECULE_IN_CI:%=molecule-%) ## A fleet in containers: the scenarios that CI runs

molecule-every: $(MOLECULE_SCENARIOS:%=molecule-%) ## A fleet in containers: every scenario

molecule-newest: $(CORE_NEW)/.ready
	@$(call molecule,$(CORE_NEW),test -s canary)

molecule-default molecule-canary molecule-bake molecule-stage_bake molecule-rollback molecule-failing_gate molecule-deploy_user molecule-systemd_nginx molecule-socket_activation: molecule-%: venv-dev
	@$(call molecule,$(VENV),test -s $*)

.PHONY: molecule-matrix
molecule-matrix: venv-dev $(CORE_OLD)/.ready ## The scenarios over supervisord or systemd with HAProxy or nginx (ONLY=regex)
	@ONLY='$(ONLY)' molecule/matrix.sh

# Apart from the others: a kernel that runs out of a host's memory may end more than the worker that is meant.
.PHONY: molecule-reentrant
molecule-reentrant: venv-dev ## A memory limit kills workers for real: 21.2.0 is stopped, 24.1.1 has no such error
	@$(call molecule,$(VENV),test -s reentrant)

# Its hosts have only Python 3.6, which no later ansible-core manages.
molecule-legacy_python: molecule-%: $(CORE_OLD)/.ready
	@$(call molecule,$(CORE_OLD),test -s $*)

molecule-cores: $(CORE_OLD)/.ready $(CORE_NEW)/.ready ## The canary on the oldest and the newest ansible-core
	@for venv in $(CORE_OLD) $(CORE_NEW); do \
		echo "--- $$($$venv/bin/ansible --version | head -1)"; \
		$(call molecule,$$venv,test -s canary); done

$(CORE_OLD)/.ready: requirements-core-2.16.txt | venv
	@tests/core_venv.sh $(CORE_OLD) $< 3.11 3.12
	@touch $@

$(CORE_NEW)/.ready: requirements-core-newest.txt | venv
	@tests/core_venv.sh $(CORE_NEW) $< 3.13 3.12 3.14
	@touch $@
