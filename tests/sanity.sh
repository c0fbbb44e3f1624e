#!/usr/bin/env bash
# Run `ansible-test sanity` on a copy: it insists on .../ansible_collections/fleetops/gunicorn
# and refuses a symlink. Arguments go to ansible-test (`--test validate-modules`, ...).
set -euo pipefail
cd "$(dirname "$0")/.."
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
copy=$root/ansible_collections/fleetops/gunicorn
mkdir -p "$copy"
git ls-files -z --cached --others --exclude-standard -- . ':!.collections' |
    while IFS= read -r -d '' file; do [ -e "$file" ] && printf '%s\0' "$file"; done |
    tar --null -T - -cf - | tar -xf - -C "$copy"

# ansible-test downloads a pip bootstrap script from a host that is neither PyPI nor a mirror of it.
# Python carries a pip of its own, which serves as well.
cache=$HOME/.ansible/test/cache
mkdir -p "$cache"
for version in 20_3_4 21_3_1 23_1_2 24_2 25_2 25_3 26_0 26_1; do
    name=$cache/get_pip_$version.py
    [ -e "$name" ] || echo 'import ensurepip; ensurepip.bootstrap()' >"$name"
done

cd "$copy"
python=$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
ansible-test sanity --color no --local --python "$python" "$@"
