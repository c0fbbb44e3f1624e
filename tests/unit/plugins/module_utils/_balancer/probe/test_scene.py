# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is told of a balancer that nobody can ask."""

from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.probe import (
    options,
    scene,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.probe.switch import State

from tests.unit.plugins.module_utils._balancer.probe.paper_server import DOWN, GIVEN, UP, Paper


def look(paper, all_rows=True, **more):
    settings = options.settings_of(dict(GIVEN, **more))
    return scene.ProbeScene(settings, paper, paper, ["app", "api"], "web1", all_rows, 5000.0)


def test_every_server_is_told_and_nothing_is_counted():
    paper = Paper()
    paper.others_up["web2"] = False
    found = look(paper)
    for backend in found.picture.backends:
        assert [(row.server, row.status) for row in backend.servers] == [
            ("web1", "UP"),
            ("web2", "DOWN"),
        ]
        assert backend.counters == {} and backend.servers[0].counters == {}
    assert any("not counted" in each for each in found.hazards([]))


def test_of_a_large_fleet_nobody_else_is_asked_for_one_row():
    paper = Paper()
    others = {f"web{number}": "http://x/" for number in range(2, 80)}
    paper.others = None
    found = look(paper, all_rows=False, others=others)
    assert {row.status for row in found.picture.backends[0].servers} == {"UP", "no check"}


def test_whose_hand_it_was():
    paper = Paper()
    paper.state = State(True, True)
    assert look(paper).memory([], {})["app"].own == "ready"
    paper.state = State(True, False)
    found = look(paper)
    assert found.memory([], {})["app"].own == "maint" and found.view.foreign
    assert found.undo(found.picture.mine("web1")[0]) == "remove /srv/ill"


def test_hazards_go_by_what_was_given():
    def told(**more):
        return " ".join(scene.hazards(options.settings_of(dict(GIVEN, **more))))

    assert "told by time (10 s" in told() and "told by time alone (10 s" in told()
    page = {"page": "http://lb/", "page_out": "x", "page_in": "y"}
    assert "told by time" not in told(**page)
    commands = {"file": "", "ill_command": ["a"], "well_command": ["b", "c"]}
    assert "would end with `b c`" in told(**commands)
    assert "would end with" not in told(state_command=["d"], **commands)


def test_one_that_is_ill_says_why():
    paper = Paper()
    paper.page = DOWN
    row = look(paper).picture.mine("web1")[0]
    assert (row.status, row.check) == ("DOWN", "HTTP 503 for /")
    assert UP.up and not DOWN.up
