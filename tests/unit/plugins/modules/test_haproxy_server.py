# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What both modules do with what an operator gets wrong; the rest is proven on a real HAProxy."""

from __future__ import annotations

import json

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.directory import (
    StateDirectory,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.fencing import Fence, Fenced
from ansible_collections.fleetops.gunicorn.plugins.modules import (
    haproxy_server,
    haproxy_server_info,
)

ARGS = {"socket": "/nonexistent/a.sock", "backends": ["app"], "server": "web1", "state": "drained"}


def run(capsys, module, args):
    with patch_module_args(args), pytest.raises(SystemExit):
        module.main()
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({}, "There is no such socket"),
        ({"socket": "haproxy.sock"}, "Give the path"),
        ({"backends": []}, "backends is empty"),
        ({"backends": ["a;b"]}, "cannot be the name of a backend"),
        ({"min_available": "some"}, "min_available is 'some'"),
        ({"socket_timeout": 0}, "above 0"),
        ({"poll": 0}, "above 0"),
        ({"share": 101, "state": "ready"}, "share is in percent"),
        ({"share": 10}, "share goes with state=ready"),
        ({"state": "gone"}, "must be one of: drained, ready"),
        ({"on_timeout": "kill"}, "must be one of: restore, force, fail"),
    ],
)
def test_a_mistake_is_a_message_and_changes_nothing(capsys, wrong, words):
    result = run(capsys, haproxy_server, {**ARGS, **wrong})
    assert result["failed"]
    assert words in result["msg"]
    assert not result.get("changed")


def test_info_fails_with_a_message_too(capsys):
    result = run(capsys, haproxy_server_info, {"socket": "/nonexistent/a.sock"})
    assert result["failed"]
    assert "There is no such socket" in result["msg"]
    assert "servers" not in result


def test_an_older_run_is_refused_before_the_balancer_is_asked(capsys, tmp_path):
    args = {**ARGS, "lease_directory": str(tmp_path / "leases")}
    newer = run(capsys, haproxy_server, {**args, "turn": 2, "turn_by": "bob"})
    assert "There is no such socket" in newer["msg"]
    for state in ("drained", "ready"):
        older = run(capsys, haproxy_server, {**args, "turn": 1, "state": state})
        assert "A newer run works on web1 on this balancer (bob, " in older["msg"]
    # Another server of the same balancer is another matter.
    other = run(capsys, haproxy_server, {**args, "turn": 1, "server": "web2"})
    assert "There is no such socket" in other["msg"]


def test_an_older_run_is_refused_in_the_middle_right_before_each_order(tmp_path):
    def fence(turn):
        return Fence(StateDirectory(str(tmp_path / "l"), private=True), "web1", turn, "bob", "web1")

    sent = []

    def send(commands):
        sent.append(list(commands))
        return ""

    older = haproxy_server.fenced(send, fence(1))
    older(["set server app/web1 state drain"])
    fence(2).claim()
    older(["show info", "show stat"])
    with pytest.raises(Fenced):
        older(["set server app/web1 state maint"])
    assert sent == [["set server app/web1 state drain"], ["show info", "show stat"]]


@pytest.mark.parametrize("lease, words", [(0, "no such socket"), (60, "cannot be made")])
def test_without_a_directory_there_is_no_lease_and_no_turn(capsys, tmp_path, lease, words):
    nowhere = str(tmp_path / "no" / "where")
    args = {**ARGS, "lease_directory": nowhere, "lease": lease, "turn": 2}
    assert words in run(capsys, haproxy_server, args)["msg"]
