#!/usr/bin/env bash
# `make test`: the fast checks first, the fleet in containers last. Every step runs even if one before
# it failed, and the end says what passed, what failed and what was left out. In CI nothing may be left out.
set -uo pipefail
cd "$(dirname "$0")/.." || exit

passed=() failed=() left_out=()
said=$(mktemp -d)
trap 'rm -rf "$said"' EXIT
trap 'trap - INT TERM; kill 0' INT TERM

verdict() { # NAME CODE SECONDS
    if [ "$2" = 0 ]; then passed+=("$1"); else failed+=("$1"); fi
    printf -- '--- %s: %s s\n' "$1" "$3"
}

step() {
    printf '\n=== make %s ===\n' "$1"
    local begun=$SECONDS code=0
    make --no-print-directory "$1" || code=$?
    verdict "$1" "$code" "$((SECONDS - begun))"
}

# Each takes one core. What a step says comes whole, when it has ended.
lane() {
    local name begun code
    for name; do
        begun=$SECONDS code=0
        make --no-print-directory "$name" >"$said/$name" 2>&1 || code=$?
        echo "$code $((SECONDS - begun))" >"$said/$name.end"
        {
            flock 9
            printf '\n=== make %s ===\n' "$name"
            cat "$said/$name"
        } 9>"$said/screen.lock"
    done
}

make --no-print-directory venv-dev
lane lint sanity &
lane unit unit-pythons installed
wait
for name in lint unit unit-pythons sanity installed; do
    code=1 seconds="?"
    [ ! -e "$said/$name.end" ] || read -r code seconds <"$said/$name.end"
    verdict "$name" "$code" "$seconds"
done

step integration

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
