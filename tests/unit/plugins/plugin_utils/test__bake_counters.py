# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What users saw of a server while it baked, against its own past and nobody else's."""

import pytest
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._bake import bake_look
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._bake_counters import against_past


def look(pid=1, **servers):
    rows = [
        {
            "backend": "app",
            "server": name,
            "counters": {"stot": sent, "hrsp_5xx": bad, "hrsp_2xx": sent - bad},
        }
        for name, (sent, bad) in servers.items()
    ]
    return bake_look([{"item": "lb1", "node": {"pid": pid}, "backends": [{"servers": rows}]}], 1.0)


@pytest.mark.parametrize(
    ("then", "now", "verdict"),
    [
        # As before: 1 % and 1 %.
        ((50_000, 500), (60_000, 600), "pass"),
        # 1 % before and 10 % since.
        ((50_000, 500), (60_000, 1500), "fail"),
        ((50_000, 0), (60_000, 1), "pass"),
        ((50_000, 0), (60_000, 400), "fail"),
        # One failure in a few requests is no verdict.
        ((50_000, 0), (50_020, 1), "pass"),
        # It has not been asked since.
        ((50_000, 500), (50_000, 500), "pass"),
    ],
)
def test_a_server_is_judged_against_its_own_past(then, now, verdict):
    other = {"web2": (70_000, 7000)}
    found = against_past(look(web1=then, **other), look(web1=now, **other), "web1", 1.0)
    assert found["verdict"] == verdict
    assert bool(found["reasons"]) == (verdict == "fail")


def test_what_others_did_is_no_matter():
    then, now = look(web1=(50_000, 0), web2=(50_000, 0)), look(web1=(60_000, 0), web2=(60_000, 900))
    assert against_past(then, now, "web1", 1.0)["verdict"] == "pass"
    found = against_past(then, now, "web2", 1.0)
    assert "900 of 10000 requests to it failed" in found["reasons"][0]


def test_what_nobody_kept_speaks_against_nobody():
    now = look(web1=(60_000, 6000))
    assert against_past({}, now, "web1", 1.0)["verdict"] == "pass"
    assert against_past(look(web2=(1, 1)), now, "web1", 1.0)["verdict"] == "pass"
    assert against_past(now, {"balancers": []}, "web1", 1.0)["verdict"] == "pass"
