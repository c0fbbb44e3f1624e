# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a playbook costs the controller, by the size of the fleet.

The playbooks, roles, decisions and Ansible are the real ones. The hosts are on paper: each module
is sent to a process of this machine and started there, and answers without a look
(`paper_module.py`). So the modules' own work, and ssh, are left out; a fleet's own machines pay for
the modules.

A trivial playbook, one `command: true` on each host, is the unit. Beside a busy neighbour the CPU
seconds are what can be compared, not the wall clock.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[3]
HERE = Path(__file__).parent
PAPER_MODULES = (
    "gunicorn_info",
    "haproxy_server_info",
    "host_turn",
    "http_health",
    "index_info",
    "log_check",
    "plan_info",
    "python_info",
    "release",
    "release_prune",
    "server_info",
)
# What is no module: it is done by Ansible on the controller, in a process of its own for each host.
GLUE = {"assert", "debug", "fail", "include_role", "include_tasks", "meta", "set_fact"}
GLUE |= {"validate_argument_spec", "validate_settings"}
PLAYBOOKS = {
    "unit": ["unit.yml"],
    "status": ["fleetops.gunicorn.status"],
    "check": ["fleetops.gunicorn.check"],
    "plan": ["fleetops.gunicorn.upgrade", "--check"],
    "rollback plan": ["fleetops.gunicorn.rollback", "--check"],
}
UNIT = """
- hosts: web
  gather_facts: false
  tasks:
    - ansible.builtin.command: "true"
"""
INVENTORY = """
all:
  vars:
    ansible_connection: local
    ansible_python_interpreter: "{{ ansible_playbook_python }}"
    app_home: /nowhere
    app_program: app
    app_health_url: http://127.0.0.1:1/
    rollout_lock_directory: %(directory)s/locks
  children:
    web: {hosts: {%(hosts)s}}
    lb: {hosts: {%(balancers)s}}
"""
CONFIG = """
[defaults]
stdout_callback = fleetops.gunicorn.story
callbacks_enabled = fleetops.gunicorn.count_tasks, fleetops.gunicorn.exit_code
home = ./.home
forks = %d
display_skipped_hosts = False
"""


class Cost(NamedTuple):
    """Of one run. ``cpu`` and ``wall`` in seconds, ``memory`` of its largest process in MiB."""

    cpu: float
    wall: float
    memory: float
    tasks: dict[str, int]

    def host_tasks(self) -> int:
        return sum(self.tasks.values())

    def glue(self) -> int:
        return sum(
            count for action, count in self.tasks.items() if action.rpartition(".")[2] in GLUE
        )


def collection(directory: Path) -> Path:
    """The collection with modules on paper; returns what ANSIBLE_COLLECTIONS_PATH must be."""
    target = directory / "ansible_collections" / "fleetops" / "gunicorn"
    target.mkdir(parents=True)
    for name in ("galaxy.yml", "meta", "playbooks", "roles", "plugins"):
        whole = ROOT / name
        if whole.is_dir():
            shutil.copytree(whole, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(whole, target)
    text = (HERE / "paper_module.py").read_text()
    for name in PAPER_MODULES:
        (target / "plugins" / "modules" / f"{name}.py").write_text(text.replace("@NAME@", name))
    shutil.copy2(HERE / "count_tasks.py", target / "plugins" / "callback")
    return directory


def measure(words: Sequence[str], directory: Path, hosts: int, patience: float) -> Cost:
    """Run one playbook in a directory that has its inventory."""
    counts = directory / "counts.json"
    counts.unlink(missing_ok=True)
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(directory / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": str(directory.parent / "collections"),
        "ANSIBLE_NOCOLOR": "1",
        "BENCH_HOSTS": str(hosts),
        "BENCH_COUNTS": str(counts),
        "FLEETOPS_REPORT_DIRECTORY": "",
    }
    environment.pop("ANSIBLE_STDOUT_CALLBACK", None)
    ansible = Path(sys.executable).parent / "ansible-playbook"
    began = time.monotonic()
    with (directory / "output").open("w") as output:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        code = subprocess.run(
            [str(ansible), "-i", "hosts.yml", *words],
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            timeout=patience,
            check=False,
        ).returncode
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    wall = time.monotonic() - began
    if code != 0:
        raise SystemExit(
            f"{' '.join(words)} ended with {code}: {(directory / 'output').read_text()[-4000:]}"
        )
    tasks = json.loads(counts.read_text())
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    # The largest of all runs so far: the fleets grow, and so do the playbooks.
    return Cost(cpu, wall, after.ru_maxrss / 1024, tasks)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, prog="bench-scale")
    parser.add_argument("--hosts", type=int, nargs="+", default=[10, 100])
    parser.add_argument("--balancers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--playbooks", nargs="+", default=list(PLAYBOOKS), choices=PLAYBOOKS)
    parser.add_argument("--forks", type=int, default=10)
    parser.add_argument("--patience", type=float, default=7200, help="seconds for one playbook")
    parser.add_argument("--actions", action="store_true", help="how often each action was started")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-scale-") as name:
        bench(Path(name), given)


def bench(directory: Path, given: argparse.Namespace) -> None:
    collection(directory / "collections")
    print(
        "| playbook | hosts | balancers | CPU s | CPU s a host | wall s | largest process, MiB |"
        " host-tasks a host | glue |\n|---|---|---|---|---|---|---|---|---|"
    )
    for hosts in given.hosts:
        for balancers in given.balancers:
            place = directory / f"{hosts}-{balancers}"
            place.mkdir()
            names = (f"web{number:04d}: {{}}" for number in range(hosts))
            (place / "hosts.yml").write_text(
                INVENTORY
                % {
                    "directory": place,
                    "hosts": ", ".join(names),
                    "balancers": ", ".join(f"lb{number}: {{}}" for number in range(balancers)),
                }
            )
            (place / "ansible.cfg").write_text(CONFIG % given.forks)
            (place / "unit.yml").write_text(UNIT)
            for playbook in given.playbooks:
                cost = measure(PLAYBOOKS[playbook], place, hosts, given.patience)
                print(
                    f"| {playbook} | {hosts} | {balancers} | {cost.cpu:.1f} |"
                    f" {cost.cpu / hosts:.2f} | {cost.wall:.0f} | {cost.memory:.0f} |"
                    f" {cost.host_tasks() / hosts:.1f} | {cost.glue() / hosts:.1f} |",
                    flush=True,
                )
                if given.actions:
                    told = sorted(cost.tasks.items(), key=lambda item: -item[1])
                    print("  " + ", ".join(f"{name} {n}" for name, n in told), file=sys.stderr)


if __name__ == "__main__":
    main()
