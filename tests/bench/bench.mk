# Proofs of the log gate that take minutes; docs/log-gate.md has what they printed.
.PHONY: log-matrix log-schedules bench-log
log-matrix: venv-dev ## Real gunicorns of nine kinds, killed in four ways: what was done, what was found, in files and in the journal
	LOG_MATRIX=1 python -m pytest -q -s tests/integration/test_log_real.py tests/integration/test_log_journal.py \
		tests/integration/test_journal.py::test_each_death_is_told_once_over_looks_rotations_and_restarts

log-schedules: venv-dev ## 1000 random schedules of writing, rotating and looking for each kind of rotation
	LOG_SCHEDULES=1000 python -m pytest -q -s tests/unit/plugins/module_utils/_logs/test_schedules.py

bench-log: venv-dev ## The log gate beside grep, rg and cat: ratios of one run
	python tests/bench/bench_log.py

.PHONY: bench-canary
bench-canary: venv-dev ## False alarms and power of the canary's judge, simulated: a table
	nice python tests/bench/canary/simulate.py

.PHONY: bench-gate normal
bench-gate: venv-dev ## How often the whole gate of the soak is wrong, and how often it sees, simulated: two tables
	nice python tests/bench/gate/simulate.py

RUNS ?= 10
normal: venv-dev ## A real fleet with 1 % of 500s: RUNS upgrades that pass, RUNS that are taken back for 10 %
	NORMAL_RUNS=$(RUNS) python -m pytest -q -s tests/integration/test_normal.py -k a_release

.PHONY: bench-scale
bench-scale: venv-dev ## What status, check and a plan cost by the size of the fleet, hosts on paper: a table
	nice python -m tests.bench.scale $(SCALE)

.PHONY: bench-window
bench-window: venv-dev ## For how long a server is out of rotation, part by part, beside a bare restart
	python -m tests.bench.window
