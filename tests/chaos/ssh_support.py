# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A private sshd for each host of the demo fleet, which can be taken away and given back."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from demo import processes
from tests.chaos.bed import Bed, wait_for
from tests.chaos.playbook import descendants
from tests.chaos.wrong import LeftOut, Wrong

PORT = 2222
# Privilege separation wants it; only root has to make it.
EMPTY = Path("/run/sshd")

CONFIG = """\
Port {port}
ListenAddress {address}
HostKey {place}/host_key
AuthorizedKeysFile {place}/authorized_keys
PidFile {place}/sshd.pid
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin prohibit-password
SetEnv TMPDIR={temporary}
"""

INVENTORY = """\
all:
  hosts:
    {name}:
      ansible_connection: ssh
      ansible_host: {address}
      ansible_port: {port}
      ansible_user: {user}
      ansible_python_interpreter: {python}
      ansible_ssh_private_key_file: {place}/key
      ansible_ssh_common_args: >-
        -F none -o UserKnownHostsFile={place}/known_hosts -o IdentitiesOnly=yes
        -o ControlPath={place}/%C
"""


def sshd() -> str:
    found = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if not found:
        raise LeftOut("no sshd here (apt-get install openssh-server)")
    return found


def reach_by_ssh(bed: Bed, *names: str) -> None:
    """From here on playbooks come to these hosts through sshds of their own.

    A connection that ansible keeps open is this case's own: one of the case before would be to an
    sshd that nobody knows any more, and would outlive the loss of the host.
    """
    program = sshd()
    if os.getuid() == 0:
        EMPTY.mkdir(mode=0o755, exist_ok=True)
    for name in names:
        place = bed.fleet.root.parent / "tmp" / f"ssh-{name}"
        place.mkdir(mode=0o700)
        for key in ("key", "host_key"):
            command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(place / key)]
            subprocess.run(command, check=True)
        shutil.copy2(place / "key.pub", place / "authorized_keys")
        words = {
            "name": name,
            "place": place,
            "address": bed.fleet.hosts[name].address,
            "port": PORT,
            "temporary": place.parent,
            "user": getpass.getuser(),
            "python": sys.executable,
        }
        (place / "config").write_text(CONFIG.format(**words))
        host_key = (place / "host_key.pub").read_text()
        (place / "known_hosts").write_text(f"[{words['address']}]:{PORT} {host_key}")
        (place / "inventory.yml").write_text(INVENTORY.format(**words))
        bed.inventory.append(place / "inventory.yml")
        give_back(bed, name, program)


def give_back(bed: Bed, name: str, program: str = "") -> None:
    config = bed.fleet.root.parent / "tmp" / f"ssh-{name}" / "config"
    done = subprocess.run(
        [program or sshd(), "-f", str(config)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise Wrong(f"sshd of {name} does not start: {done.stderr}")
    address = bed.fleet.hosts[name].address
    wait_for(f"sshd of {name}", lambda: processes.listeners(address, PORT))


def of_sshd(bed: Bed, name: str) -> list[int]:
    """The pids of a host's sshd and of its sessions, without what the sessions run."""
    listening = processes.listeners(bed.fleet.hosts[name].address, PORT)
    found = [process.pid for process in listening]
    for pid in list(found):
        found += [child for child in descendants(pid) if is_sshd(child)]
    return found


def is_sshd(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().startswith("sshd")
    return False


def lose(bed: Bed, *names: str) -> None:
    """The host cannot be reached any more, and every session is cut. What they run goes on."""
    for name in names:
        for pid in of_sshd(bed, name):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        address = bed.fleet.hosts[name].address
        wait_for(f"{name} to be gone", lambda a=address: not processes.listeners(a, PORT))


def freeze(bed: Bed, name: str) -> None:
    """The host takes packets and answers nothing, as behind a dead network."""
    for pid in of_sshd(bed, name):
        os.kill(pid, signal.SIGSTOP)
