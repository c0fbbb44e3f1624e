# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The stop rules: what may go wrong, in which kind of run, and what must come of it.

The playbooks, roles and decisions are the real ones and so is Ansible, in every supported version;
the hosts are on paper (`paper.py`), since it is Ansible's own rules that are tried here, in more
combinations than real hosts would allow.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.fleet_reports import (
    FleetReports,
)

ROOT = Path(__file__).resolve().parents[2]
HOSTS = [f"web{number}" for number in range(1, 5)]
PAPER_MODULES = (
    "gunicorn_info",
    "active_release",
    "balancer_server",
    "balancer_server_info",
    "host_turn",
    "http_health",
    "index_info",
    "log_check",
    "python_info",
    "release",
    "release_prune",
    "server_info",
)
# These are the real ones, on a balancer that may be gone.
REAL_MODULES = ("fleet_lock", "fleet_record", "fleet_report")
ILL = "web1"
INVENTORY = """
all:
  vars:
    ansible_connection: local
    ansible_python_interpreter: "{{ ansible_playbook_python }}"
    app_home: /nowhere
    app_program: app
    app_health_url: http://127.0.0.1:1/
    rollout_stages: [{gunicorn: "21.2.0"}]
    rollout_lock_directory: "{{ lookup('ansible.builtin.env', 'PAPER') }}/locks"
    gate_soak: 1
    gate_interval: 1
  children:
    web: {hosts: {%s}}
    lb: {hosts: {lb1: {}}}
"""
WRAPPER = """
from ansible_collections.fleetops.gunicorn.plugins.action import paper
from ansible_collections.fleetops.gunicorn.plugins.action.real_{name} import ActionModule as Real


class ActionModule(Real):
    def run(self, tmp=None, task_vars=None):
        host = str(task_vars["inventory_hostname"])
        event = str(self._task.args.get("state") or self._task.args.get("event") or "")
        failure = paper.meet("{name}", event, host, str(self._task.delegate_to or host))
        if failure:
            return {{"failed": True, "msg": failure}}
        return super().run(tmp, task_vars)
"""


class Fault(NamedTuple):
    """The `call`-th time that `module` is asked for `state` on behalf of `ILL`, it happens."""

    name: str
    module: str
    state: str = ""
    call: int = 1
    kind: str = "gone"
    machine: str = ILL
    stays: bool = False
    says: str = f"{ILL} is gone on purpose"
    phase: str = ""
    blames: bool = False


# gunicorn_info is asked once before the builds, before the drain, at the boot and at each look of
# the soak; http_health in preflight, before the restore and in the soak; balancer_server_info in
# preflight, when the run begins and before the drain.
FAULTS = (
    Fault(
        "the switch fails",
        "active_release",
        kind="fails",
        says=f"active_release of {ILL}",
        phase="returned",
        blames=True,
    ),
    Fault(
        "the way back fails too",
        "active_release",
        kind="fails",
        stays=True,
        says="IS OUT OF SERVICE",
        phase="out",
        blames=True,
    ),
    Fault(
        "not healthy after the switch",
        "http_health",
        call=2,
        kind="fails",
        says=f"http_health of {ILL}",
        phase="returned",
        blames=True,
    ),
    Fault(
        "the soak fails",
        "http_health",
        call=3,
        kind="fails",
        says=f"http_health of {ILL}",
        phase="returned",
        blames=True,
    ),
    Fault(
        "the drain is refused",
        "balancer_server",
        "drained",
        kind="fails",
        says="was not drained",
        phase="taken",
    ),
    Fault("the host is lost before the drain", "gunicorn_info", call=2),
    Fault("the host is lost while it is switched", "active_release"),
    Fault("the host is lost in the soak", "http_health", call=3),
    Fault(
        "the balancer is lost before the run begins",
        "balancer_server_info",
        call=2,
        machine="lb1",
        says="lb1 is gone on purpose",
    ),
    Fault(
        "the balancer is lost before the drain",
        "balancer_server_info",
        call=3,
        machine="lb1",
        says="lb1 is gone on purpose",
    ),
    Fault(
        "the balancer is lost at the drain",
        "balancer_server",
        "drained",
        machine="lb1",
        says="lb1",
    ),
    Fault(
        "the balancer is lost at the restore",
        "balancer_server",
        "ready",
        machine="lb1",
        says="lb1",
    ),
)
SERIALS = ([1], [2], ["50%"])
LIMITS = ("", "web1:web2:web3")


class Cell(NamedTuple):
    fault: Fault
    serial: list[object]
    limit: str

    @property
    def name(self) -> str:
        run = f"serial {self.serial[0]}" + (", --limit" if self.limit else "")
        return f"{self.fault.name}; {run}"

    @property
    def wave(self) -> list[str]:
        """Who is switched together with `ILL`, which is always in the first wave."""
        hosts = self.limit.split(":") if self.limit else HOSTS
        size = self.serial[0]
        return hosts[: size if isinstance(size, int) else len(hosts) // 2]


CELLS = [Cell(*each) for each in itertools.product(FAULTS, SERIALS, LIMITS)]
# Every fault once, and every kind of run at least once, where all of them would take too long.
SOME = [
    cell
    for number, fault in enumerate(FAULTS)
    for cell in [Cell(fault, SERIALS[number % 3], LIMITS[number % 2])]
]


def collection(directory: Path) -> Path:
    """The collection with hosts on paper; returns what ANSIBLE_COLLECTIONS_PATH must be."""
    target = directory / "ansible_collections" / "fleetops" / "gunicorn"
    target.mkdir(parents=True)
    for name in ("galaxy.yml", "meta", "playbooks", "roles", "plugins"):
        whole = ROOT / name
        if whole.is_dir():
            shutil.copytree(whole, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(whole, target)
    actions = target / "plugins" / "action"
    text = (Path(__file__).parent / "paper.py").read_text()
    for module in ("paper", *PAPER_MODULES):
        (actions / f"{module}.py").write_text(text)
    for module in REAL_MODULES:
        (actions / f"{module}.py").rename(actions / f"real_{module}.py")
        (actions / f"{module}.py").write_text(WRAPPER.format(name=module))
    return directory


class Ended(NamedTuple):
    code: int
    text: str
    journal: list[str]
    record: dict[str, Any]
    locked: bool
    reports: tuple[dict[str, Any], ...] = ()
    """What the host of the lock keeps."""


def run(cell: Cell, directory: Path, collections: Path, ansible: Path, **inputs: object) -> Ended:
    """One upgrade in which the fault happens."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "fault.json").write_text(json.dumps({**cell.fault._asdict(), "host": ILL}))
    (directory / "hosts.yml").write_text(INVENTORY % ", ".join(f"{name}: {{}}" for name in HOSTS))
    (directory / "ansible.cfg").write_text(
        "[defaults]\nstdout_callback = fleetops.gunicorn.story\nhome = ./.home\n"
    )
    command = [str(ansible / "ansible-playbook"), "-i", "hosts.yml", "fleetops.gunicorn.upgrade"]
    command += ["-e", json.dumps({"rollout_waves": cell.serial, **inputs})]
    command += ["-l", cell.limit] if cell.limit else []
    environment = {
        **os.environ,
        "PAPER": str(directory),
        "ANSIBLE_CONFIG": str(directory / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": str(collections),
        "ANSIBLE_NOCOLOR": "1",
    }
    environment.pop("ANSIBLE_STDOUT_CALLBACK", None)
    done = subprocess.run(
        command,
        cwd=directory,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    journal = directory / "journal"
    kept = directory / "locks" / "app.lock"
    locked = kept.exists() and bool(kept.read_text())
    lines = journal.read_text().splitlines() if journal.exists() else []
    kept = directory / "locks" / "app.record.json"
    record = json.loads(kept.read_text()) if kept.exists() else {}
    reports = FleetReports(str(directory / "locks"), "app").listed()
    return Ended(done.returncode, done.stdout + done.stderr, lines, record, locked, tuple(reports))


def wrongs(cell: Cell, ended: Ended) -> list[str]:
    """What is not as it must be."""
    found = []
    if not any(line.startswith("FAULT") for line in ended.journal):
        return [f"the fault did not happen: {ended.text[-2000:]}"]
    if ended.code == 0:
        found.append("exit code 0")
    at = next(i for i, line in enumerate(ended.journal) if line.startswith("FAULT"))
    others = [
        line
        for line in ended.journal[at + 1 :]
        if line.startswith("balancer_server drained ") and line.split()[2] not in cell.wave
    ]
    if others:
        found.append(f"drained after the fault: {others}")
    last = ended.text[ended.text.rfind("STOPPED, since") :]
    balancer_lost = cell.fault.machine == "lb1"
    # Whoever of the wave asks a lost balancer first is the one that it is lost to.
    named = [f"a balancer of {name}" for name in cell.wave] if balancer_lost else []
    named += cell.wave if balancer_lost else [ILL]
    if not last.startswith(tuple(f"STOPPED, since {name} " for name in named)):
        found.append(f"the last words do not name {' or '.join(named)}: {last[:300]!r}")
    if cell.fault.says not in last:
        found.append(f"the last words do not say {cell.fault.says!r}: {last[:600]!r}")
    drained = {line.split()[2] for line in ended.journal if "balancer_server drained" in line}
    ready = {line.split()[2] for line in ended.journal if "balancer_server ready" in line}
    left = drained - ready - {ILL}
    if left and not balancer_lost:
        found.append(f"left out of rotation: {left}")
    if ended.locked and not balancer_lost:
        found.append("the lock is left")
    if balancer_lost:
        return found
    return [*found, *record_wrongs(cell, ended.record), *report_wrongs(ended)]


def report_wrongs(ended: Ended) -> list[str]:
    """The one report that is kept says what the last words say."""
    code = ended.text.strip().splitlines()[-1].partition(":")[0]
    told = [(each["result"], each["host"], each["code"]) for each in ended.reports]
    return [] if told == [("stopped", ILL, code)] else [f"the reports kept are {told}, not {code}"]


def record_wrongs(cell: Cell, record: dict[str, Any]) -> list[str]:
    """The record says that the run was halted, by whom, and which release is to blame."""
    found = []
    run = record["run"]
    if (run["status"], run["host"]) != ("halted", ILL):
        found.append(f"the record has the run as {run['status']} by {run['host']!r}")
    phase = record["hosts"].get(ILL, {}).get("phase")
    if cell.fault.phase and phase != cell.fault.phase:
        found.append(f"the record has {ILL} as {phase}")
    bad = [name for name, mark in record["marks"].items() if mark["mark"] == "bad"]
    if bool(bad) != cell.fault.blames:
        found.append(f"the record blames {bad}")
    return found
