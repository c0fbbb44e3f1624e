#!/usr/bin/env bash
# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Makes a Debian or Ubuntu machine ready for `make molecule`: podman, and the settings without
# which a machine of few rights cannot start a container. Changes nothing that is there already.
# Run it as root. With docker (FLEET_ENGINE=docker) none of this is needed.
set -euo pipefail

base=docker.io/library/debian:bookworm-slim
conf=/etc/containers/containers.conf
packages=(podman runc netavark aardvark-dns iptables catatonit mmdebstrap openssh-client)
# For the integration tests with a real systemd, which has this machine's own files.
packages+=(systemd dbus polkitd curl)

missing=()
for package in "${packages[@]}"; do
  dpkg-query --show --showformat='${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
done
if ((${#missing[@]})); then
  if [[ $(id -u) != 0 ]]; then
    echo "setup_containers: not installed: ${missing[*]}. Run: sudo $0" >&2
    exit 1
  fi
  echo "setup_containers: installing ${missing[*]}"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

# The same name everywhere, so that the Containerfile is the same everywhere: the public image
# where a registry can be reached, else the same distribution made from its packages.
if ! podman image exists "$base" && ! podman pull --quiet "$base" 2>/dev/null; then
  echo "setup_containers: no registry in reach, making $base with mmdebstrap"
  rootfs=$(mktemp)
  trap 'rm -f "$rootfs"' EXIT
  mmdebstrap --quiet --variant=minbase --format=tar bookworm >"$rootfs"
  podman import --quiet "$rootfs" "$base" >/dev/null
fi

# podman asks for limits that a process without CAP_SYS_RESOURCE may not have, and crun refuses
# machines with hybrid cgroups: only then, and only where nobody has configured it yet.
starts() { podman run --rm "$base" true; }
if ! reason=$(starts 2>&1); then
  if [[ -e $conf ]]; then
    echo "setup_containers: podman cannot start a container, and $conf is not mine to change: $reason" >&2
    exit 1
  fi
  echo "setup_containers: podman cannot start a container as it is (${reason##*: }), writing $conf"
  mkdir -p "${conf%/*}"
  nofile=$(ulimit -Hn)
  [[ $nofile != unlimited ]] || nofile=1048576
  printf '[engine]\nruntime = "runc"\n\n[containers]\ndefault_ulimits = ["nofile=%s:%s", "nproc=32768:32768"]\n' \
    "$nofile" "$nofile" >"$conf"
  if ! reason=$(starts 2>&1); then
    rm -f "$conf"
    echo "setup_containers: podman cannot start a container on this machine: $reason" >&2
    exit 1
  fi
fi
echo "setup_containers: ready ($(podman --version))"
