# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The drain against a HAProxy of a few lines, in which time is what the test says."""

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.haproxy.drain import (
    Balancer,
    Change,
    Clock,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.haproxy.runtime import (
    Unreachable,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.haproxy.state import Found
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError

from tests.unit.plugins.module_utils._balancer.haproxy.paper_balancer import Fake, change, late


@pytest.fixture
def fake():
    return Fake()


def run(fake, state="drained", **more):
    made = change(fake, **more)
    made.check(state)
    made.carry_out(state)
    return made


def test_sessions_are_awaited_and_seen_to_be_gone_twice(fake):
    fake.sessions = 2
    fake.at[3] = lambda: setattr(fake, "sessions", 0)
    done = run(fake)
    assert fake.writes == ["drain", "maint"]
    assert 1003.5 < done.measured["drained_at"] <= 1006
    assert done.measured["sessions_cut"] == 0


def test_one_look_at_zero_is_not_enough(fake):
    fake.sessions = 1
    fake.at[1] = lambda: setattr(fake, "sessions", 0)
    fake.at[1.5] = lambda: setattr(fake, "sessions", 1)
    fake.at[4] = lambda: setattr(fake, "sessions", 0)
    when = []
    fake.wrote = lambda: when.append(fake.time)
    run(fake)
    assert when == [0, 4.5], "MAINT when it was idle twice"


def test_nothing_is_written_when_it_is_refused(fake):
    fake.health["web2"] = "UP 1/3"
    with pytest.raises(FleetError, match="web2 is UP 1/3"):
        run(fake)
    fake.health["web2"] = "UP"
    fake.level = "operator"
    with pytest.raises(FleetError, match="level 'operator'"):
        run(fake)
    assert fake.writes == []


def test_a_command_without_effect_is_an_error(fake):
    fake.deaf = True
    with pytest.raises(FleetError, match="reads back as ready"):
        run(fake)


def test_a_command_whose_answer_is_lost_may_have_worked(fake):
    made = change(fake)
    real = fake.answer

    def lost(command):
        answer = real(command)
        if command == "set server app/web1 state drain":
            raise Unreachable("wedged")
        return answer

    fake.answer = lost
    with pytest.raises(FleetError, match="wedged.*put back"):
        made.carry_out("drained")
    assert fake.writes == ["drain", "ready"]


def test_a_server_that_is_down_is_drained_without_others(fake):
    fake.health.update(web1="DOWN", web2="DOWN")
    run(fake)
    assert fake.writes == ["drain", "maint"]


def test_others_that_fall_end_the_wait_at_once(fake):
    fake.sessions = 1
    fake.at[2] = lambda: fake.health.update(web2="DOWN 1/2")
    with pytest.raises(FleetError, match="too few others were left.*put back") as caught:
        run(fake)
    assert fake.time == 2
    assert "web2 is DOWN 1/2" in str(caught.value)
    assert fake.writes == ["drain", "ready"]


def test_another_whose_check_failed_once_is_waited_for_before_the_drain(fake):
    fake.health["web2"] = "UP 1/2"
    fake.at[3] = lambda: fake.health.update(web2="UP")
    run(fake)
    assert fake.writes == ["drain", "maint"] and fake.time >= 3


@pytest.mark.parametrize("then", ["UP 1/2", "DOWN"])
def test_another_that_does_not_recover_refuses_the_drain(fake, then):
    fake.health["web2"] = "UP 1/2"
    fake.at[3] = lambda: fake.health.update(web2=then)
    with pytest.raises(FleetError, match=f"web2 is {then}"):
        run(fake)
    assert fake.writes == [] and fake.time == (10 if then == "UP 1/2" else 3)


def test_another_whose_check_fails_once_while_it_drains_still_serves(fake):
    fake.sessions = 1
    fake.at[2] = lambda: fake.health.update(web2="UP 1/2")
    fake.at[4] = lambda: setattr(fake, "sessions", 0)
    run(fake)
    assert fake.writes == ["drain", "maint"]


@pytest.mark.parametrize(
    ("policy", "writes"),
    [("restore", ["drain", "ready"]), ("fail", ["drain"])],
)
def test_a_timeout_that_fails(fake, policy, writes):
    fake.sessions = 1
    with pytest.raises(FleetError, match="1 session"):
        run(fake, on_timeout=policy)
    assert fake.writes == writes
    assert 10 <= fake.time < 12


def test_force_waits_once_more_in_maint(fake):
    fake.sessions = 3
    fake.at[15] = lambda: setattr(fake, "sessions", 0)
    done = run(fake, on_timeout="force")
    assert fake.writes == ["drain", "maint"]
    assert done.measured["sessions_cut"] == 0


def test_force_counts_what_is_left(fake):
    fake.sessions = 3
    done = run(fake, on_timeout="force")
    assert done.measured["sessions_cut"] == 3
    assert 20 <= fake.time < 23


def test_force_on_a_server_in_maint_counts_too(fake):
    fake.admin["web1"] = "maint"
    fake.sessions = 3
    done = run(fake, on_timeout="force")
    assert fake.writes == []
    assert done.measured["sessions_cut"] == 3


def test_a_timeout_of_what_was_drained_before_leaves_it(fake):
    fake.admin["web1"] = "drain"
    fake.sessions = 1
    with pytest.raises(FleetError, match="left as it was"):
        run(fake)
    assert fake.writes == []


def test_an_idle_server_goes_on_to_maint(fake):
    # DRAIN is no proof: a `use-server` rule or the table of another backend goes on sending to it,
    # and nothing that HAProxy tells of the backend says so.
    made = change(fake)
    assert made.plan("drained") == {"app/web1": "maint"}
    run(fake)
    assert fake.writes == ["drain", "maint"]


def test_arrivals_in_drain_are_told(fake):
    fake.sessions = 1
    fake.at[2] = lambda: setattr(fake, "stot", 6)
    fake.at[3] = lambda: setattr(fake, "sessions", 0)
    done = run(fake)
    assert fake.writes == ["drain", "maint"]
    assert any("1 request(s) came to it while it was in DRAIN" in note for note in done.notes), (
        done.notes
    )


@pytest.mark.parametrize("where", ["", "cookie", "table"])
def test_arrivals_in_maint_are_refused(fake, where):
    fake.cookie = "SRV" if where == "cookie" else ""
    fake.tables = ("another",) if where == "table" else ()
    # Where users can belong to a server, they are given longer to show themselves.
    fake.at[3.5 if where else 2] = lambda: setattr(fake, "stot", 6)
    with pytest.raises(FleetError, match="even in MAINT.*option persist.*put back") as caught:
        run(fake)
    assert "backend app" in str(caught.value)
    assert fake.writes == ["drain", "maint", "ready"]


def test_forced_arrivals_in_maint_are_told(fake):
    fake.at[2] = lambda: setattr(fake, "stot", 6)
    done = run(fake, on_timeout="force")
    assert fake.writes == ["drain", "maint"]
    assert any("even in MAINT" in note for note in done.notes)


def test_a_server_that_is_out_already_is_looked_at_for_arrivals_too(fake):
    fake.admin["web1"] = "maint"
    fake.at[1.5] = lambda: setattr(fake, "stot", 6)
    with pytest.raises(FleetError, match="even in MAINT.*left as it was"):
        run(fake)
    assert fake.writes == []


# -- what an agent undoes -----------------------------------------------------------------------


def test_an_agent_is_muted_while_the_server_is_out(fake):
    fake.agent["web1"] = "on"
    fake.agent_says = "ready"
    fake.sessions = 1
    fake.at[4] = lambda: setattr(fake, "sessions", 0)
    done = run(fake)
    assert fake.writes == ["-agent", "drain", "maint"]
    assert any("agent" in note for note in done.notes)
    fake.sleep(5)
    assert fake.admin["web1"] == "maint", "nobody undoes it"
    back = run(fake, "ready", memory={"app": Found("ready", True)})
    assert fake.writes[3:] == ["drain", "ready", "+agent"]
    assert back.picture.mine("web1")[0].agent == "on"


def test_an_agent_that_was_muted_by_an_operator_stays_so(fake):
    fake.agent["web1"] = "off"
    run(fake)
    run(fake, "ready", memory={"app": Found("ready", False)})
    assert "agent" not in " ".join(fake.writes)


def test_an_agent_does_not_undo_the_share_of_a_ramp(fake):
    fake.agent["web1"] = "off"
    fake.admin["web1"] = "maint"
    fake.agent_says = "75"
    memory = {"app": Found("ready", True)}
    run(fake, "ready", share=10, memory=memory)
    fake.sleep(5)
    assert fake.weight["web1"] == 10
    run(fake, "ready", share=100, memory=memory)
    assert fake.writes[-2:] == ["weight 100", "+agent"]


def test_a_ramp_mutes_an_agent_that_nobody_muted(fake):
    fake.agent["web1"] = "on"
    run(fake, "ready", share=10)
    assert fake.writes == ["-agent", "weight 10"]


def test_a_drain_that_fails_gives_the_agent_back(fake):
    fake.agent["web1"] = "on"
    fake.sessions = 1
    with pytest.raises(FleetError, match="put back"):
        run(fake)
    assert fake.writes == ["-agent", "drain", "ready", "+agent"]


def test_after_a_reload_the_agent_is_muted_again(fake):
    fake.agent["web1"] = "on"
    fake.sessions = 1

    def reload():
        fake.reload()
        fake.alive.discard(100)
        fake.sessions = 0

    fake.at[2] = reload
    run(fake)
    assert fake.writes == ["-agent", "drain", "-agent", "drain", "maint"]


# -- what was found is put back -----------------------------------------------------------------


@pytest.mark.parametrize("found", ["maint", "drain"])
def test_a_server_that_somebody_else_took_out_stays_so(fake, found):
    fake.admin["web1"] = found
    run(fake)
    assert fake.admin["web1"] == "maint"
    done = run(fake, "ready", memory={"app": Found(found, False)})
    assert fake.admin["web1"] == found
    assert any("left" in note and found in note for note in done.notes), done.notes
    assert done.plan("ready") == {"app/web1": found}


def test_a_server_that_was_set_ready_since_is_left_ready(fake):
    done = run(fake, "ready", memory={"app": Found("maint", False)})
    assert fake.writes == []
    assert fake.admin["web1"] == "ready"
    assert done.notes == []


def test_without_a_memory_ready_is_ready(fake):
    fake.admin["web1"] = "maint"
    run(fake, "ready")
    assert fake.admin["web1"] == "ready"


def test_requests_that_came_while_it_was_out_are_told(fake):
    fake.admin["web1"] = "maint"
    done = run(fake, "ready", memory={"app": Found("ready", False, stot=3, pid=100)})
    assert any("2 request(s) reached" in note for note in done.notes), done.notes
    fake.admin["web1"] = "maint"
    done = run(fake, "ready", memory={"app": Found("ready", False, stot=3, pid=99)})
    assert not any("reached" in note for note in done.notes), "another process counts anew"


# -- slowstart ----------------------------------------------------------------------------------


def test_a_server_that_slowstart_holds_back_is_no_reason_to_take_another(fake):
    fake.throttle["web2"] = 7
    with pytest.raises(FleetError, match="web2 is UP, held back by slowstart at 7 %"):
        run(fake)
    assert fake.writes == []


def test_ready_waits_until_slowstart_is_over_however_long_that_takes(fake):
    fake.admin["web1"] = "drain"
    fake.throttle["web1"] = 5
    for second in range(1, 20):
        fake.at[second] = lambda share=5 + 5 * second: fake.throttle.update(web1=share)
    done = run(fake, "ready")
    assert fake.throttle["web1"] == 100
    assert done.measured["up_at"] == 1019, "beyond up_timeout, since it went on"


def test_a_slowstart_that_does_not_go_on_is_an_error(fake):
    fake.admin["web1"] = "drain"
    fake.throttle["web1"] = 5
    with pytest.raises(FleetError, match="held back by slowstart at 5 %"):
        run(fake, "ready")
    assert fake.time < 12


# -- the process before a reload ----------------------------------------------------------------


def test_requests_of_a_process_before_a_reload_are_awaited_though_it_was_before_the_drain(fake):
    fake.alive = {99, 100}
    fake.at[4] = lambda: fake.alive.discard(99)
    run(fake)
    assert fake.time >= 4
    fake.alive.add(99)
    fake.admin["web1"] = "ready"
    with pytest.raises(FleetError, match=r"older process.*99"):
        run(fake)


def test_a_process_before_a_reload_that_has_nothing_for_the_server_is_left_after_a_while(fake):
    fake.alive = {99, 100}
    fake.connected = False
    made = change(fake)
    made = Change(made._balancer, made.wish._replace(drain_timeout=60), made._clock, made._elders)
    made.carry_out("drained")
    # It knows nothing of the drain, so that its clients may still send something.
    assert 10 <= fake.time < 20
    assert any("none of them to web1" in note for note in made.notes)


def test_a_process_that_is_not_to_be_seen_is_no_reason_to_refuse(fake):
    # In a container /proc/PID is somebody else's: nothing is to be concluded from it.
    fake.alive = {99, 100}
    done = run(fake, watch=False)
    assert fake.writes == ["drain", "maint"]
    assert any("not to be seen" in note for note in done.notes)


def test_a_reload_is_drained_again_once_the_others_are_up(fake):
    fake.sessions = 1

    def reload():
        fake.reload()
        fake.alive.discard(100)
        fake.health["web2"] = "UP 1/3"
        fake.sessions = 0

    fake.at[2] = reload
    fake.at[5] = lambda: fake.health.update(web2="UP")
    done = run(fake)
    assert fake.writes == ["drain", "drain", "maint"]
    assert fake.time >= 5, "until then web1 had to serve"
    assert any("reloaded" in note for note in done.notes)


def test_a_reload_after_which_the_others_never_come(fake):
    fake.sessions = 1

    def reload():
        fake.reload()
        fake.health["web2"] = "DOWN"

    fake.at[2] = reload
    with pytest.raises(FleetError, match="lost the drained state"):
        run(fake, on_timeout="force")
    assert "maint" not in fake.writes, "force never takes the last server"
    assert fake.admin["web1"] == "ready"


def test_the_process_before_the_reload_must_have_ended(fake):
    fake.sessions = 1

    def reload():
        fake.reload()
        fake.sessions = 0

    fake.at[2] = reload
    fake.at[6] = lambda: fake.alive.discard(100)
    run(fake)
    assert fake.time >= 6


def test_where_processes_cannot_be_seen_a_reload_is_told(fake):
    fake.sessions = 1

    def reload():
        fake.reload()
        fake.sessions = 0

    fake.at[2] = reload
    done = run(fake, watch=False)
    assert any("uncounted" in note for note in done.notes)


def test_a_second_loss_is_an_error(fake):
    fake.sessions = 1
    fake.at[2] = lambda: fake.admin.update(web1="ready")
    fake.at[4] = lambda: fake.admin.update(web1="ready")
    with pytest.raises(FleetError, match="twice"):
        run(fake)


def test_a_moment_without_a_socket_is_a_reload(fake):
    fake.sessions = 1
    real = fake.ask

    def gone(commands):
        raise Unreachable("refused")

    fake.at[2] = lambda: setattr(fake, "ask", gone)
    fake.at[2.6] = lambda: setattr(fake, "ask", real)
    fake.at[4] = lambda: setattr(fake, "sessions", 0)
    made = Change(
        Balancer(late(fake), ["app"]),
        change(fake).wish,
        Clock(lambda: fake.time, lambda: fake.time, fake.sleep),
    )
    made.carry_out("drained")
    assert fake.writes == ["drain", "maint"]


def test_a_balancer_that_stays_away_may_have_left_it_drained(fake):
    fake.sessions = 1

    def gone(commands):
        raise Unreachable("refused")

    fake.at[2] = lambda: setattr(fake, "ask", gone)
    made = Change(
        Balancer(late(fake), ["app"]),
        change(fake).wish,
        Clock(lambda: fake.time, lambda: fake.time, fake.sleep),
    )
    with pytest.raises(FleetError, match="MAY STILL BE OUT OF ROTATION"):
        made.carry_out("drained")
    assert made.changed
    # patience for the wait, and up_timeout for the way back
    assert 12 <= fake.time < 18


def away(fake, began, ended):
    def gone(commands):
        raise Unreachable("refused")

    real = fake.ask
    fake.at[began] = lambda: setattr(fake, "ask", gone)
    fake.at[ended] = lambda: setattr(fake, "ask", real)


def test_what_fails_while_the_balancer_is_away_is_put_back_when_it_is_there(fake):
    fake.sessions = 1
    away(fake, 2, 8)
    with pytest.raises(FleetError, match="refused.*put back as it was before"):
        run(fake, "drained")
    assert fake.writes == ["drain", "ready"]


@pytest.mark.parametrize("began", [0, 2])
def test_ready_waits_for_a_balancer_that_is_away(fake, began):
    fake.admin["web1"] = "drain"
    fake.health["web1"] = "DOWN"
    away(fake, began, 8)
    fake.at[8.5] = lambda: fake.health.update(web1="UP")
    fake.sleep(0)
    change(fake, patience=10).carry_out("ready")
    assert fake.writes == ["ready"]
    assert fake.admin["web1"] == "ready"


def test_ready_does_not_wait_for_ever(fake):
    away(fake, 0, 500)
    fake.sleep(0)
    with pytest.raises(Unreachable):
        change(fake, patience=10)
    assert 10 <= fake.time < 11


def test_ready_waits_for_a_true_up(fake):
    fake.admin["web1"] = "drain"
    fake.health["web1"] = "DOWN"
    fake.at[2] = lambda: fake.health.update(web1="UP 1/2")
    fake.at[4] = lambda: fake.health.update(web1="UP")
    done = run(fake, "ready")
    assert fake.writes == ["ready"]
    assert (done.measured["ready_at"], done.measured["up_at"]) == (1000, 1004)


def test_ready_that_is_never_up_stays_ready_and_says_what_is_seen(fake):
    fake.admin["web1"] = "drain"
    fake.health["web1"] = "UP 1/2"
    with pytest.raises(FleetError, match="web1 is UP 1/2"):
        run(fake, "ready")
    assert fake.admin["web1"] == "ready"


def test_out_of_maint_checks_run_before_requests_come(fake):
    fake.admin["web1"] = "maint"
    fake.health["web1"] = "UP 1/2"
    fake.at[2] = lambda: fake.health.update(web1="UP")
    done = run(fake, "ready")
    assert fake.writes == ["drain", "ready"]
    assert done.measured["ready_at"] == 1002


def test_out_of_maint_with_fall_1_a_check_must_pass_first(fake):
    fake.admin["web1"] = "maint"
    fake.fall = 1
    fake.at[3] = lambda: fake.health.update(web1="UP")
    done = run(fake, "ready")
    assert fake.writes == ["drain", "down", "ready"]
    assert done.measured["ready_at"] == 1003


def test_out_of_maint_a_dead_server_is_set_ready_all_the_same(fake):
    fake.admin["web1"] = "maint"
    fake.health["web1"] = "UP 1/2"
    fake.at[2] = lambda: fake.health.update(web1="DOWN")
    with pytest.raises(FleetError, match="web1 is DOWN"):
        run(fake, "ready")
    assert fake.admin["web1"] == "ready"


def test_ready_twice_writes_nothing(fake):
    done = run(fake, "ready")
    assert fake.writes == []
    assert not done.changed
