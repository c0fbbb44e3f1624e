# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The verdict of a run and its end screen."""

from typing import Any

import pytest

from demo.report import Measured, Restart, arrived, screen, verdict
from demo.rotation import Change, Outage

STAGES = [{"gunicorn": "21.2.0"}, {"gunicorn": "23.0.0", "python": "3.11"}]
WAY = [
    Change(0.0, "20.0.1", "3.6.15", 1),
    Change(13.2, "21.2.0", "3.6.15", 2),
    Change(33.2, "23.0.0", "3.11.7", 3),
]
OUTAGES = [Outage(10.0, 2.5, 0.8, 0.2, True), Outage(30.0, 2.4, 0.9, 0.0, True)]


def traffic(failed: int = 0, **sent: int) -> dict[str, Any]:
    kinds = {"new": 500, "keepalive": 500, "slow": 100, **sent}
    return {
        "sent": sum(kinds.values()),
        "failed": failed,
        "skipped": 0,
        "kinds": {kind: {"sent": count, "failed": 0} for kind, count in kinds.items()},
        "errors": {"503": failed} if failed else {},
    }


def measured(**changed: Any) -> Measured:
    seen = Measured(
        drain=True,
        exit_code=0,
        seconds=91.4,
        stages=STAGES,
        changes={"web1": WAY, "web2": WAY},
        outages={"web1": OUTAGES, "web2": OUTAGES},
        silences={"web1": [0.4, 0.5], "web2": [0.4, 0.6]},
        traffic=traffic(),
        restart=Restart("web2", 0.53, 7.79, 7),
        remark="",
        logs=[".demo/upgrade.log", ".demo/traffic.jsonl"],
    )
    return seen._replace(**changed)


@pytest.mark.parametrize(
    ("changed", "good", "words"),
    [
        ({}, True, "1100 requests sent, none lost"),
        ({"traffic": traffic(3)}, False, "3 of 1100 requests were lost"),
        ({"exit_code": 2}, False, "ended with 2"),
        ({"changes": {"web1": WAY, "web2": WAY[:2]}}, False, "not on its last stage: web2"),
        ({"changes": {"web1": WAY, "web2": []}}, False, "not on its last stage: web2"),
        ({"traffic": traffic(slow=0)}, False, "nothing was sent on slow"),
        ({"drain": False, "traffic": traffic(60)}, True, "lost 60 of 1100"),
        ({"drain": False}, False, "lost none of 1100"),
        ({"drain": False, "traffic": traffic(60), "exit_code": 2}, False, "ended with 2"),
    ],
)
def test_verdict(changed: dict[str, Any], good: bool, words: str) -> None:
    seen = verdict(measured(**changed))
    assert seen[0] is good and words in seen[1]


def test_arrived_compares_whole_versions() -> None:
    assert arrived(WAY, STAGES)
    assert not arrived([Change(0.0, "23.0.0", "3.1.1", 1)], STAGES)
    assert not arrived([Change(0.0, "23.0.0", "3.11.7", 1)], [{"gunicorn": "23.0"}])
    assert arrived([Change(0.0, "23.0.0", "3.12.1", 1)], [{"gunicorn": "23.0.0"}])


@pytest.mark.parametrize("drain", [True, False])
def test_screen_is_one_screen(drain: bool) -> None:
    lines = screen(measured(drain=drain, traffic=traffic(9), remark="x" * 40))
    assert len(lines) <= 34
    assert max(map(len, lines)) <= 100
    text = "\n".join(lines)
    assert "20.0.1 on 3.6.15 -> 21.2.0 on 3.6.15 -> 23.0.0 on 3.11.7" in text
    assert "9 x 503" in text and ".demo/upgrade.log" in text
    assert "no answer for 0.53 s" in text and "startsecs=7" in text


def test_outages_are_shown_with_where_they_led() -> None:
    (first,) = [line for line in screen(measured()) if "web1 -> 21.2.0" in line]
    assert first.split()[-5:] == ["2.50", "0.80", "0.20", "3.50", "0.40"]
    # 0.90 s of switching against 7.79 s
    assert "0.12 times as long" in "\n".join(screen(measured()))


def test_screen_of_a_run_that_touched_nothing() -> None:
    none: dict[str, list[float]] = {"web1": [], "web2": []}
    lines = screen(measured(outages=none, silences=none, restart=None, exit_code=2))
    assert "    web1 was never taken out" in lines
