#!/usr/bin/env bash
# `make molecule-matrix`: the scenarios over each service manager with each balancer. `make molecule-every` runs
# supervisord+haproxy already. Every run is made even if one before it failed. ONLY=regex runs some, such as
# ONLY='systemd.*canary'; a run is called `systemd+nginx canary`. It takes hours.
set -uo pipefail
cd "$(dirname "$0")/.." || exit
mkdir -p .cache/matrix

fleets=(supervisord+nginx systemd+haproxy systemd+nginx)
scenarios=(default canary bake stage_bake rollback failing_gate legacy_python)
# Its rights on the balancer are those of HAProxy's socket; those of nginx: tests/integration/test_nginx_rights.py.
only_haproxy=(deploy_user)

failed=() ran=0
run() { # run MANAGER+BALANCER SCENARIO
    local name="$1 $2" log=".cache/matrix/$1-$2.log" begun=$SECONDS word=passed
    [[ $name =~ ${ONLY:-.} ]] || return 0
    ran=$((ran + 1))
    FLEET_MANAGER=${1%+*} FLEET_BALANCER=${1#*+} make --no-print-directory "molecule-$2" >"$log" 2>&1 || word=FAILED
    printf '%s  %-32s %5s s  %s\n' "$word" "$name" "$((SECONDS - begun))" "$log"
    [ "$word" = passed ] || { failed+=("$name") && tail -n 30 "$log"; }
}

for fleet in "${fleets[@]}"; do
    for scenario in "${scenarios[@]}"; do run "$fleet" "$scenario"; done
done
for scenario in "${only_haproxy[@]}"; do run systemd+haproxy "$scenario"; done
[ "$ran" -gt 0 ] || { echo "matrix: nothing is called ${ONLY:-}" >&2; exit 1; }
[ ${#failed[@]} -eq 0 ]
