# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who failed while the others went on, and when that ends the run."""

from __future__ import annotations

import pytest
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._plan.left_behind import (
    failure_limit_problems,
    left_behind,
)

HOSTS = [
    {"inventory_hostname": "web1"},
    {"inventory_hostname": "web2", "_rollout_gave_up": {"stage": "1", "why": "soak: fail"}},
    {"inventory_hostname": "web3", "_rollout_gave_up": {}},
]


@pytest.mark.parametrize(("stage", "names"), [("1", []), (1, []), (2, ["web2"]), (0, ["web2"])])
def test_the_stage_goes_on_and_no_later_one_begins(stage, names):
    assert left_behind(HOSTS, stage, 1)["hosts"] == names


def test_the_words_say_who_why_and_what_to_do():
    text = left_behind(HOSTS, 2, 1)["text"]
    assert text.startswith("web2 of 3 servers failed, went back and serve as before")
    assert "Stage 2 is begun on no server. What failed: soak: fail." in text
    assert "Every other server passed" in left_behind(HOSTS, 0, 1)["text"]


def test_less_than_none_is_refused():
    assert failure_limit_problems("0") == []
    assert "rollout_max_failures is -1" in failure_limit_problems(-1)[0]
