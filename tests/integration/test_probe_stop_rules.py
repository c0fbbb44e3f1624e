# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The stop rules where a server is its own balancer's host: whoever is lost is lost to both."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.stop_rules.cells import HOSTS, ILL, Cell, Fault, collection, run, wrongs

INPUTS = {
    "load_balancer_provider": "probe",
    "load_balancer_probe_url": "http://{{ inventory_hostname }}/lb",
    "load_balancer_probe_file": "/nowhere/maintenance",
}
# In preflight each server is asked in the name of the first one; then that one is asked when the
# run begins, and before its drain.
ASKED = len(HOSTS)
FAULTS = (
    Fault("the host is lost before the drain", "balancer_server_info", call=ASKED + 2),
    Fault("the host is lost at the drain", "balancer_server", "drained"),
    Fault("the host is lost while it is switched", "active_release"),
    Fault("the host is lost at the restore", "balancer_server", "ready"),
    Fault("the host is lost in the soak", "http_health", call=3),
    Fault(
        "the drain is refused",
        "balancer_server",
        "drained",
        kind="fails",
        says="was not drained",
        phase="taken",
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
)
CELLS = [Cell(fault, [1 + number % 2], "") for number, fault in enumerate(FAULTS)]


@pytest.fixture(scope="module")
def collections(tmp_path_factory):
    return collection(tmp_path_factory.mktemp("collections"))


@pytest.mark.parametrize("cell", CELLS, ids=[cell.name for cell in CELLS])
def test_after_a_fault_no_other_host_is_drained(cell, collections, tmp_path):
    ended = run(cell, tmp_path / "run", collections, Path(sys.executable).parent, **INPUTS)
    assert wrongs(cell, ended) == []
    asked = [line.split() for line in ended.journal if line.startswith("balancer_server ")]
    assert all(words[2] == words[3] for words in asked), "each is told by itself"


def test_a_host_that_is_lost_when_the_run_begins_drains_nobody(collections, tmp_path):
    cell = Cell(Fault("the host is lost", "balancer_server_info", call=ASKED + 1), [1], "")
    ended = run(cell, tmp_path / "run", collections, Path(sys.executable).parent, **INPUTS)
    assert ended.code != 0 and f"FAULT balancer_server_info {ILL}" in ended.journal
    assert "web1 is gone on purpose" in ended.text
    assert not [line for line in ended.journal if line.startswith("balancer_server drained")]


def test_every_server_is_asked_and_told_by_itself(collections, tmp_path):
    cell = Cell(Fault("nothing", "nothing"), [2], "")
    ended = run(cell, tmp_path / "run", collections, Path(sys.executable).parent, **INPUTS)
    assert ended.code == 0, ended.text[-3000:]
    told = [line.split()[1:4] for line in ended.journal if line.startswith("balancer_server ")]
    drained = sorted(host for state, host, _machine in told if state == "drained")
    assert drained == sorted(HOSTS) and all(host == machine for _state, host, machine in told)
