#!/usr/bin/env bash
# `make test`: the fast checks first, the fleet in containers last. Every step runs even if one before
# it failed, and the end says what passed, what failed and what was left out. In CI nothing may be left out.
set -uo pipefail
cd "$(dirname "$0")/.." || exit

passed=() failed=() left_out=()

step() {
    printf '\n=== make %s ===\n' "$1"
    local begun=$SECONDS
    if make --no-print-directory "$1"; then
        passed+=("$1")
    else
        failed+=("$1")
    fi
    printf -- '--- %s: %s s\n' "$1" "$((SECONDS - begun))"
}

for name in lint unit unit-pythons sanity installed integration; do
    step "$name"
done

if tests/can_run_containers.sh; then
    step molecule
else
    left_out+=("molecule: this machine cannot run containers; as root on Debian, tests/setup_containers.sh makes it so")
fi

printf '\n=== make test ===\n'
for name in "${passed[@]}"; do echo "passed    $name"; done
for name in ${failed[@]+"${failed[@]}"}; do echo "FAILED    $name"; done
for name in ${left_out[@]+"${left_out[@]}"}; do echo "LEFT OUT  $name"; done

[ ${#failed[@]} -eq 0 ] || exit 1
if [ ${#left_out[@]} -gt 0 ] && [ "${CI:-}" = true ]; then
    echo 'In CI leaving something out is a failure.'
    exit 1
fi
