#!/usr/bin/env bash
# `make nightly`: everything that is too long for CI, one after the other; the one list of it.
# Every step runs even if one before it failed. ONLY=regex runs some. It takes hours.
set -uo pipefail
cd "$(dirname "$0")/.." || exit
export CI=true
mkdir -p .cache/nightly

steps=(
    unit-pythons-every    # the unit tests of what runs on hosts, on every Python
    integration-nightly   # the tests of tests/integration/nightly.txt
    real-apps             # applications from the index, upgraded and taken back under load
    stop-rules            # every fault in every kind of run, on every ansible-core
    chaos                 # a fleet broken in every way we know
    eda                   # a real ansible-rulebook runs check.yml; needs a Java
    molecule-every        # every scenario
    molecule-matrix       # the scenarios over each service manager with each balancer
    molecule-cores        # the canary on the oldest and the newest ansible-core
    molecule-reentrant    # a memory limit kills workers for real
    log-matrix            # real gunicorns, killed in four ways, in files and in the journal
    log-schedules         # 1000 schedules of each kind of rotation
    bench-canary          # how often the canary's judge errs
    bench-log             # the log gate beside grep
)

failed=()
for step in "${steps[@]}"; do
    [[ $step =~ ${ONLY:-.} ]] || continue
    begun=$SECONDS
    if make --no-print-directory "$step" >".cache/nightly/$step.log" 2>&1; then word=passed; else word=FAILED failed+=("$step"); fi
    printf '%s  %-20s %5s s  .cache/nightly/%s.log\n' "$word" "$step" "$((SECONDS - begun))" "$step"
    [ "$word" = passed ] || tail -n 30 ".cache/nightly/$step.log"
done
[ ${#failed[@]} -eq 0 ]
