#!/usr/bin/env bash
# Run the unit tests of what runs on managed hosts on the oldest and the newest Python that is found, from 3.6 on;
# with the argument "every" on each.
# In CI both ends must be there: Python 3.6, and one newer than 3.11.
set -euo pipefail
cd "$(dirname "$0")/.."

export PYTHONPATH=.collections:. PYTHONDONTWRITEBYTECODE=1

mapfile -t found < <(.venv/bin/python -m tests.find_python)
if [ "${1:-}" != every ] && [ ${#found[@]} -gt 2 ]; then found=("${found[0]}" "${found[-1]}"); fi

seen=
for version in ${found[@]+"${found[@]}"}; do
    python=$(.venv/bin/python -m tests.find_python "$version")
    venv=.cache/unit-$version
    if ! [ -e "$venv/.ready" ]; then
        rm -rf "$venv"
        "$python" -m venv --without-pip "$venv"
        UV_SYSTEM_CERTS=1 .venv/bin/uv pip install --quiet --no-config --python "$venv/bin/python" pytest hypothesis
        touch "$venv/.ready"
    fi
    echo "--- Python $version"
    "$venv/bin/python" -m pytest -q -p no:cacheprovider -c /dev/null --rootdir . tests/unit/plugins/module_utils
    seen="$seen $version"
done

[ -n "$seen" ] || { echo 'no Python was found'; exit 1; }
echo "Ran on:$seen"
if [ "${CI:-}" = true ]; then
    case $seen in *' 3.6'*) ;; *) echo 'Python 3.6 was not found: in CI that is a failure'; exit 1 ;; esac
    case $seen in *' 3.1'[2-9]*) ;; *) echo 'no Python newer than 3.11 was found: in CI that is a failure'; exit 1 ;; esac
fi
