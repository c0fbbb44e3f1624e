# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""When a server counts as out, and as back, where nobody can ask the balancer."""

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.probe.switch import State
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.probe.traffic import (
    parse_place,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError

from tests.unit.plugins.module_utils._balancer.probe.paper_server import DOWN, UP, Paper


def drain(paper, **more):
    change = paper.change(**more)
    change.check("drained")
    change.carry_out("drained")
    return change


def fails(paper, state="drained", **more):
    change = paper.change(**more)
    with pytest.raises(FleetError) as caught:
        change.check(state)
        change.carry_out(state)
    return change, str(caught.value)


def test_nobody_before_it_has_settled_is_no_proof():
    paper = Paper()
    change = drain(paper)
    assert change.changed and change.found() == {"app/web1": "maint"}
    assert 11 <= paper.now - 1000 <= 11.5 and paper.done == ["ill"]


def test_it_is_waited_for_a_second_without_a_connection():
    paper = Paper()
    paper.connected = [(0, 3), (14, 0), (14.5, 1), (16, 0)]
    drain(paper)
    assert 17 <= paper.now - 1000 <= 17.5


def test_what_was_ill_before_has_settled_as_long():
    paper = Paper()
    paper.state, paper.ill_for = State(True, True), 300.0
    change = drain(paper)
    assert not change.changed and paper.now - 1000 <= 1.5 and paper.done == []


@pytest.mark.parametrize(
    ("policy", "ill", "left"), [("restore", False, 0), ("fail", True, 0), ("force", True, 2)]
)
def test_connections_that_do_not_end(policy, ill, left):
    paper = Paper()
    paper.connected = [(0, 2)]
    if policy == "force":
        change = drain(paper, policy=policy)
    else:
        change, text = fails(paper, policy=policy)
        assert "still had 2 connection(s) after 10 s of settling and 20 s more" in text
    assert paper.state.ill == ill and change.measured["sessions_cut"] == left
    assert change.left_drained == (policy == "fail") and change.changed == ill


def test_the_balancers_page_must_say_so_too():
    page = {"page": "http://lb/", "page_out": "DOWN"}
    paper = Paper()
    paper.told = "the balancer's page does not match 'DOWN'"
    paper.at(15, lambda: setattr(paper, "told", ""))
    drain(paper, **page)
    assert 16 <= paper.now - 1000 <= 16.5
    paper = Paper()
    paper.told = "the balancer's page does not match 'DOWN'"
    _change, text = fails(paper, **page)
    assert "does not match 'DOWN'" in text and not paper.state.ill
    paper = Paper()
    paper.told = "the balancer's page does not match 'DOWN'"
    change = drain(paper, policy="force", **page)
    assert "not waited for any longer" in change.notes[-1]


def test_a_page_that_does_not_fail_is_no_drain():
    paper = Paper()
    paper.looks = False
    change, text = fails(paper)
    assert "still answers well after 10 s" in text and "made well again" in text
    assert not paper.state.ill and not change.changed


def test_a_gate_that_looks_at_the_same_is_told_before_a_release_is_blamed():
    paper = Paper()
    paper.one_page = True
    _change, text = fails(paper)
    assert "the page that gates ask fails too" in text and not paper.state.ill
    paper.page = DOWN
    drain(paper)


def test_what_somebody_else_has_made_ill_may_have_been_so_for_a_moment():
    paper = Paper()
    paper.state, paper.ill_for = State(True, False), 300.0
    drain(paper)
    assert paper.now - 1000 >= 11


def test_a_page_that_answers_again_ends_it():
    paper = Paper()
    paper.at(3, lambda: setattr(paper, "looks", False))
    _change, text = fails(paper)
    assert "answers well again" in text and not paper.state.ill


def test_too_few_others_refuse_it():
    paper = Paper()
    paper.others_up["web2"] = False
    _change, text = fails(paper)
    assert "would be left with 0 server(s) UP" in text and paper.done == []
    paper.page = DOWN
    assert "would be left with 0" in fails(paper)[1], "a wrong URL makes all of them look ill"
    drain(paper, need="0")


def test_another_one_who_goes_at_the_same_moment_is_seen():
    paper = Paper()
    change = paper.change()
    change.check("drained")
    ill = paper.make_ill
    paper.make_ill = lambda: (ill(), paper.others_up.update(web2=False))
    with pytest.raises(FleetError, match="too few others were left"):
        change.carry_out("drained")
    assert not paper.state.ill and paper.now == 1000, "at once, and not when it has settled"


def test_others_who_fall_ill_meanwhile_put_it_back():
    paper = Paper()
    paper.at(5, lambda: paper.others_up.update(web2=False))
    _change, text = fails(paper)
    assert "too few others were left" in text and not paper.state.ill
    assert paper.now - 1000 < 7


def test_somebody_who_undoes_it_is_not_fought():
    paper = Paper()
    paper.at(5, paper.make_well)
    _change, text = fails(paper)
    assert "somebody has undone it" in text and paper.done == ["ill", "well"]


def test_a_command_that_comes_back_before_it_is_done_is_waited_for():
    paper = Paper()
    paper.slow = 3
    change = drain(paper)
    assert change.changed and paper.state.ill
    paper.change().carry_out("ready")
    assert not paper.state.ill and paper.done == ["ill", "well"]


def test_a_command_that_never_gets_done_is_told():
    paper = Paper()
    paper.slow = 1000
    _change, text = fails(paper)
    assert "still that of a well one after 10 s" in text and paper.done == ["ill", "well"]
    paper, change = out()
    paper.slow = 1000
    with pytest.raises(FleetError, match="still looks ill 10 s later"):
        change.carry_out("ready")


def test_a_port_that_nobody_listens_on_is_refused():
    paper = Paper()
    paper.unheard_of = [parse_place("8000")]
    assert "nobody listens on port 8000" in fails(paper)[1] and paper.done == []


def test_what_refuses_users_before_the_balancer_knows_is_told():
    paper = Paper()
    ill = paper.make_ill
    paper.make_ill = lambda: (ill(), paper.unheard_of.append(parse_place("443")))
    change = drain(paper)
    assert "nobody listens on port 443 any more" in " ".join(change.notes)


def test_what_was_half_done_is_undone():
    paper = Paper()
    paper.broken = "`systemctl stop nginx` failed (exit 1): it says nothing."
    _change, text = fails(paper)
    assert "systemctl stop nginx" in text and paper.done == ["ill", "well"]


def test_the_others_hand_is_left():
    paper = Paper()
    paper.state = State(True, False)
    change = drain(paper)
    assert change.plan("ready") == {"app/web1": "maint"} and paper.done == []
    assert change.memory["app"].own == "maint"
    change = paper.change()
    change.carry_out("ready")
    assert paper.state.ill and paper.done == [] and "is left so" in change.notes[-1]


# --- back ----------------------------------------------------------------------------------------


def out(**more):
    paper = Paper()
    paper.state = State(True, True)
    return paper, paper.change(**more)


def test_it_is_back_when_that_has_settled():
    paper, change = out()
    change.carry_out("ready")
    assert change.changed and 10 <= paper.now - 1000 <= 10.5
    assert change.measured["up_at"] - change.measured["ready_at"] >= 10


def test_who_is_in_rotation_is_not_waited_for():
    paper = Paper()
    change = paper.change()
    change.carry_out("ready")
    assert not change.changed and paper.now == 1000 and paper.done == []


def test_an_application_that_does_not_answer_is_told():
    paper, change = out()
    paper.page = DOWN
    with pytest.raises(FleetError, match="does not answer after 5 s: HTTP 503"):
        change.carry_out("ready")
    assert not paper.state.ill and "ready_at" in change.measured


def test_a_lease_does_not_wait_for_the_balancer():
    paper, change = out()
    change.wish = change.wish._replace(wait_full=False)
    change.carry_out("ready")
    assert paper.now == 1000 and not paper.state.ill


def test_users_are_waited_for_where_that_is_asked():
    paper, change = out(back_by="connections")
    paper.connected = [(0, 0), (12, 1)]
    change.carry_out("ready")
    assert 12.4 <= paper.now - 1000 <= 13
    paper, change = out(back_by="connections")
    with pytest.raises(FleetError, match="0 of 5 looks"):
        change.carry_out("ready")
    assert paper.now - 1000 >= 15


def test_the_balancers_page_must_have_it_again():
    paper, change = out(page="http://lb/", page_out="DOWN", page_in="UP")
    paper.told = "the balancer's page does not match 'UP'"
    paper.at(12, lambda: setattr(paper, "told", ""))
    change.carry_out("ready")
    assert 12 <= paper.now - 1000 <= 12.5
    assert change.view.own == UP
