#!/usr/bin/env bash
# Build the collection, install the tarball into an empty directory, and upgrade a canary of the demo fleet
# from there: what ships must work without the checkout around it.
set -euo pipefail
cd "$(dirname "$0")/.."
checkout=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

ansible-galaxy collection build --output-path "$work" >/dev/null
tarball=$(echo "$work"/fleetops-gunicorn-*.tar.gz)
if tar tzf "$tarball" | grep -vE '^(MANIFEST.json|FILES.json|README.md|CHANGELOG.md|LICENSE|bindep.txt|execution-environment.yml|(docs|extensions|inventories|meta|playbooks|plugins|roles)/)'; then
    echo 'installed: the files above must not ship'
    exit 1
fi
unset ANSIBLE_CONFIG
export ANSIBLE_COLLECTIONS_PATH=$work/collections ANSIBLE_HOME=$work/home
cd "$work"
ansible-galaxy collection install "$tarball" --offline -p "$work/collections" >/dev/null

for playbook in upgrade rollback check status report drain ready release; do
    ansible-playbook -i "$checkout/inventories/example" --syntax-check "fleetops.gunicorn.$playbook"
done

# A fleet of its own, beside one that may be up already.
export DEMO_ROOT=$work/fleet DEMO_NETWORK=127.79.0
cd "$checkout"
make --no-print-directory demo-up
trap 'make --no-print-directory -C "$checkout" demo-down; rm -rf "$work"' EXIT
cd "$work"
ANSIBLE_CALLBACKS_ENABLED=fleetops.gunicorn.report \
    ansible-playbook -i "$checkout/inventories/demo" fleetops.gunicorn.upgrade -l web1 -e rollout_to=21.2.0
ansible-playbook -i "$checkout/inventories/demo" fleetops.gunicorn.check
ansible-playbook -i "$checkout/inventories/demo" fleetops.gunicorn.report
ls "$work"/.cache/fetched-reports/*-upgrade-*.html >/dev/null
ansible web1 -i "$checkout/inventories/demo" -m fleetops.gunicorn.gunicorn_info \
    -a "home={{ app_home }} program={{ app_program }} supervisor_url={{ service_supervisor_url }}" |
    grep -q '"gunicorn": "21.2.0"'
echo '1 passed, 0 failed'
