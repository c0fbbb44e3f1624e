# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What both modules do with what an operator gets wrong; the rest is proven on a real HAProxy."""

from __future__ import annotations

import json

import pytest
from ansible.module_utils.testing import patch_module_args
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
