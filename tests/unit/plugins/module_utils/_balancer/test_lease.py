# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a watcher does, in a time that is what the test says."""

import json

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer import lease as leases
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.lease import (
    Hold,
    Lease,
    Memory,
    Watcher,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.seam import Clock
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.shape import (
    Found,
    Glance,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.document import (
    Newer,
    Unbelievable,
)

from tests.unit.plugins.module_utils._balancer.haproxy.paper_balancer import (
    Fake,
    PaperAccess,
    late,
)

LEASE = Lease("t1", "/run/a.sock", "web1", ("app",), "boot", 100.0, 42, 7)
HOLD = Hold((("app", "drain"),), 1, 5, "1")
HELD = LEASE._replace(hold=HOLD)


class Place:
    """A lease's file, its lock and its log. `at` holds what happens at which second."""

    def __init__(self):
        self.time = 0.0
        self.file = LEASE
        self.restored = []
        self.said = []
        self.locked = False
        self.at = {}
        self.broken = ""  # what the balancer answers instead
        self.unlockable = ""
        self.seen = Glance(1, 9, {"app": "drain"})
        self.looks = []
        self.again = []
        self.short = ""
        self.wedged = False

    def sleep(self, seconds):
        assert not self.locked, "nobody could renew"
        assert self.time < 10000, "it never ends"
        self.time += seconds
        for moment in sorted(self.at):
            if moment <= self.time:
                self.at.pop(moment)()

    def read(self):
        if isinstance(self.file, Exception):
            raise self.file
        return self.file

    def glance(self, lease, patience):
        assert not self.locked, "nobody could renew"
        self.looks.append(self.time)
        if self.wedged:
            self.time += patience
            raise FleetError("wedged")
        return self.seen

    def take_out(self, lease, backends):
        self.again.append((self.time, list(backends), self.locked))
        if self.short:
            raise FleetError(self.short)
        self.seen = self.seen._replace(own=dict(lease.hold.out))
        return "app: drain again"

    def alone(self, act, timeout):
        if self.unlockable:
            raise FleetError(self.unlockable)
        self.locked = True
        try:
            return act()
        finally:
            self.locked = False

    def restore(self, lease):
        if self.broken:
            raise FleetError(self.broken)
        self.restored.append((self.time, lease.backends, self.locked))
        return "restored"

    def remove(self):
        assert self.locked
        self.file = None

    def watch(self):
        post = leases.Post(
            PaperAccess(None),
            self.read,
            self.alone,
            self.glance,
            self.take_out,
            self.restore,
            self.said.append,
            self.remove,
            lambda: self.time,
            self.sleep,
        )
        Watcher(self.file, post).run()
        return self


@pytest.fixture
def place():
    return Place()


def test_at_the_end_it_is_restored_alone_and_told(place):
    place.watch()
    assert place.restored == [(100.0, ("app",), True)]
    assert place.said == ["the lease ended: restored"]
    assert place.file is None


def test_a_renewal_moves_the_end_and_the_backends(place):
    renewed = LEASE._replace(until=250.0, backends=("app", "api"))
    place.at[99.5] = lambda: setattr(place, "file", renewed)
    place.watch()
    assert place.restored == [(250.0, ("app", "api"), True)]


def test_a_renewal_in_the_last_instant_is_seen(place):
    def alone(act, timeout):
        # Who renewed held the lock until now.
        place.alone = Place.alone.__get__(place)
        place.file = LEASE._replace(until=300.0)
        return place.alone(act, timeout)

    place.alone = alone
    place.watch()
    assert [when for when, _backends, _locked in place.restored] == [300.0]


@pytest.mark.parametrize("instead", [None, LEASE._replace(token="t2"), Newer("schema 2")])
def test_cancelled_or_of_another_it_ends_within_a_second(place, instead):
    place.at[40.0] = lambda: setattr(place, "file", instead)
    place.watch()
    assert place.restored == []
    assert place.time <= 41.0
    assert place.file is instead


def test_cancelled_in_the_last_instant(place):
    def alone(act, timeout):
        place.file = None
        place.locked = True
        return act()

    place.alone = alone
    place.watch()
    assert place.restored == []


@pytest.mark.parametrize("error", [Unbelievable("half"), FleetError("the mode is 0755")])
def test_a_file_that_cannot_be_read_cancels_nothing(place, error):
    place.at[40.0] = lambda: setattr(place, "file", error)
    place.watch()
    assert [when for when, _backends, _locked in place.restored] == [100.0]


def test_a_balancer_that_is_away_is_asked_again(place):
    place.broken = "no such socket"
    place.at[300.0] = lambda: setattr(place, "broken", "")
    place.watch()
    assert 300.0 <= place.restored[0][0] <= 302.0
    assert place.said == [
        "the lease ended, and it cannot be restored yet: no such socket",
        "the lease ended: restored",
    ]


def test_a_balancer_that_is_gone_is_given_up(place):
    place.broken = "no such socket"
    place.watch()
    assert place.restored == []
    assert 700.0 <= place.time <= 703.0
    assert "GAVE UP after 600 s" in place.said[-1]
    assert "no such socket" in place.said[-1]
    assert len(place.said) == 2
    assert place.file is None


def test_it_is_renewed_while_it_is_being_asked_again(place):
    place.broken = "no such socket"
    place.at[300.0] = lambda: setattr(place, "file", LEASE._replace(until=5000.0))
    place.at[301.0] = lambda: setattr(place, "broken", "")
    place.watch()
    assert place.restored[0][0] == 5000.0


def test_without_the_lock_it_is_restored_in_the_end(place):
    place.unlockable = "the mode is 0755"
    place.watch()
    assert len(place.restored) == 1
    assert place.time < 703.0


# -- kept out -----------------------------------------------------------------------------------


@pytest.fixture
def held(place):
    place.file = HELD
    return place


def forget(place, pid, uptime=0):
    place.seen = Glance(pid, uptime, {"app": "ready"})


@pytest.mark.parametrize(("pid", "uptime"), [(2, 0), (2, 5000), (1, 3)])
def test_another_haproxy_that_forgot_is_told_within_a_second(held, pid, uptime):
    held.at[40.0] = lambda: forget(held, pid, uptime)
    held.watch()
    [(when, backends, locked)] = held.again
    assert 40.0 <= when <= 41.0
    assert backends == ["app"]
    assert locked, "counted and written alone"
    assert held.said == [
        f"HAProxy was started anew (pid {pid}): app: drain again",
        "the lease ended: restored",
    ]
    assert [when for when, _backends, _locked in held.restored] == [100.0]


def test_every_further_haproxy_too(held):
    for turn in range(1, 9):
        held.at[turn * 10.0] = lambda turn=turn: forget(held, 1 + turn)
    held.watch()
    assert len(held.again) == 8


def test_an_operator_is_right_also_after_the_next_reload(held):
    held.at[40.0] = lambda: forget(held, 1, 49)
    held.at[60.0] = lambda: forget(held, 2)
    held.watch()
    assert held.again == []


def test_an_operator_is_right_in_the_process_that_was_told_again(held):
    held.at[40.0] = lambda: forget(held, 2)
    held.at[50.0] = lambda: forget(held, 2, 10)
    held.watch()
    assert len(held.again) == 1


def test_a_further_drain_overrules_the_operator(held):
    held.at[40.0] = lambda: forget(held, 1, 49)
    held.at[50.0] = lambda: setattr(held, "seen", Glance(1, 55, {"app": "drain"}))
    held.at[50.1] = lambda: setattr(held, "file", HELD._replace(hold=HOLD._replace(uptime=55)))
    held.at[60.0] = lambda: forget(held, 2)
    held.watch()
    assert len(held.again) == 1


def test_a_reload_right_after_the_drain_is_seen_although_nobody_looked(held):
    forget(held, 2)
    held.watch()
    assert [when for when, _backends, _locked in held.again] == [0.0]


def test_too_few_others_are_waited_for_and_told_once(held):
    held.short = "app: backend app would be left with 0"
    held.at[40.0] = lambda: forget(held, 2)
    held.at[50.0] = lambda: setattr(held, "short", "")
    held.watch()
    assert 50.0 <= held.again[-1][0] <= 51.0
    assert held.said[:-1] == [
        "HAProxy was started anew (pid 2): NOT TAKEN OUT AGAIN YET: app: backend app would be left"
        " with 0",
        "HAProxy was started anew (pid 2): app: drain again",
    ]


def test_who_lets_it_go_has_the_last_word(held):
    def let_go_then_reload():
        held.file = HELD._replace(hold=HOLD._replace(out=()))
        forget(held, 2)

    held.at[40.0] = let_go_then_reload
    held.watch()
    assert held.again == []
    assert held.restored, "the promise stays"


def test_who_lets_it_go_in_the_last_instant_too(held):
    alone = held.alone

    def waited(act, timeout):
        # Who let it go was alone until now.
        held.file = HELD._replace(hold=HOLD._replace(out=()))
        return alone(act, timeout)

    held.alone = waited
    held.at[40.0] = lambda: forget(held, 2)
    held.watch()
    assert held.again == []


def test_a_wedged_balancer_holds_up_nothing_and_is_asked_seldom(held):
    held.wedged = True
    held.watch()
    assert held.restored[0][0] <= 101.0
    assert len(held.looks) < 30, "connections pile up where nobody takes them"

    held.wedged, held.time, held.looks, held.again = False, 0.0, [], []
    held.file = HELD
    held.at[40.0] = lambda: setattr(held, "wedged", True)
    held.at[50.0] = lambda: forget(held, 2)
    held.at[50.1] = lambda: setattr(held, "wedged", False)
    held.watch()
    assert 50.0 <= held.again[0][0] <= 56.0


def test_without_the_lock_nothing_is_taken_out(held):
    held.unlockable = "another process is at work"
    held.at[40.0] = lambda: forget(held, 2)
    held.at[45.0] = lambda: setattr(held, "unlockable", "")
    held.watch()
    assert 45.0 <= held.again[0][0] <= 46.0


def test_a_server_that_is_not_there_any_more_is_nobodys():
    assert Memory().lost(HOLD, Glance(2, 0, {})) == []


def take_out_again(fake, need="1"):
    clock = Clock(lambda: fake.time, lambda: fake.time, fake.sleep)
    held = LEASE._replace(hold=HOLD._replace(need=need, out=(("app", "maint"),)))
    return leases.take_out_again(PaperAccess(late(fake)), held, ["app"], clock)


def test_it_is_taken_out_again_as_it_was():
    fake = Fake()
    assert take_out_again(fake) == "app: maint again"
    assert fake.writes == ["maint"]
    assert take_out_again(fake) == "", "somebody else was faster"
    assert fake.writes == ["maint"]


@pytest.mark.parametrize("status", ["DOWN", "UP 1/2"])
def test_it_stays_in_where_too_few_others_are_up(status):
    fake = Fake()
    fake.health["web2"] = status
    with pytest.raises(FleetError, match="left with 0"):
        take_out_again(fake)
    assert fake.writes == []
    fake.health["web1"] = "DOWN"
    assert take_out_again(fake) == "app: maint again", "nobody misses it"


# -- the file -----------------------------------------------------------------------------------


def test_what_is_written_is_read():
    assert leases.parse(leases.dump(LEASE)) == LEASE
    assert leases.parse(leases.dump(HELD)) == HELD


@pytest.mark.parametrize("length", range(0, len(leases.dump(LEASE)) - 2, 7))
def test_half_of_it_is_not_believed(length):
    with pytest.raises(Unbelievable):
        leases.parse(leases.dump(LEASE)[:length])


@pytest.mark.parametrize(
    "change",
    [
        {"until": "soon"},
        {"until": True},
        {"pid": None},
        {"backends": []},
        {"backends": [1]},
        {"schema": 0},
        {"schema": "1"},
        {"token": 5},
        {"hold": {}},
        {"hold": None},
        {"hold": {"out": {"app": "ready"}, "pid": 1, "uptime": 1, "need": "1"}},
        {"hold": {"out": ["app"], "pid": 1, "uptime": 1, "need": "1"}},
    ],
)
def test_another_shape_is_not_believed(change):
    record = dict(json.loads(leases.dump(LEASE).decode()), **change)
    with pytest.raises(Unbelievable):
        leases.parse(json.dumps(record).encode())


def test_a_newer_schema_is_another_matter():
    with pytest.raises(Newer, match="schema 2"):
        leases.parse(b'{"schema": 2}')


@pytest.mark.parametrize("jump", [-3600.0, 0.0, 3600.0])
def test_a_clock_that_jumps_changes_neither_the_file_nor_what_is_left(jump):
    assert b"wall" not in leases.dump(LEASE)
    seen = leases.as_data(LEASE, True, 40.0, 1000.0 + jump)
    assert seen == {"until": 1060.0 + jump, "seconds_left": 60.0, "pid": 42}


def test_a_lease_without_a_watcher_has_no_pid():
    assert leases.as_data(LEASE, False, 200.0, 1000.0) == {
        "until": 1000.0,
        "seconds_left": 0.0,
        "pid": None,
    }


def test_names_of_files_are_one_per_server_and_balancer():
    names = {
        leases.file_name(where, server)
        for where in ("/a.sock", "/b.sock", ("10.0.0.1", 99))
        for server in ("web1", "web.1", "web_1", "../../etc/passwd", "x" * 500)
    }
    assert len(names) == 15
    assert all("/" not in name and len(name) < 255 for name in names)


def test_each_application_has_a_file_of_its_own():
    shop, blog = (leases.file_name("/a.sock", "web1", [name]) for name in ("shop", "blog"))
    assert len({shop, blog, leases.file_name("/a.sock", "web1")}) == 3
    both = leases.file_name("/a.sock", "web1", ["shop", "blog"])
    assert both == leases.file_name("/a.sock", "web1", ["blog", "shop", "blog"])


def test_a_lease_for_the_other_backends():
    hold = HOLD._replace(out=(("app", "maint"), ("api", "maint")))
    both = LEASE._replace(backends=("app", "api"), hold=hold)
    rest = leases.without(both, ["app", "other"])
    assert (rest.backends, rest.hold.out) == (("api",), (("api", "maint"),))
    assert leases.without(both, ["api", "app"]) is None
    assert leases.without(both, ["other"]) == both


# -- putting it back ----------------------------------------------------------------------------


def put_back(fake, backends=("app",), memory=None):
    clock = Clock(lambda: fake.time, lambda: fake.time, fake.sleep)
    return leases.put_back(PaperAccess(late(fake)), "web1", backends, clock, 1, memory)


def test_a_drained_server_is_put_back():
    fake = Fake()
    fake.admin["web1"] = "drain"
    assert put_back(fake) == "app: was in drain, restored and UP"
    assert fake.writes == ["ready"]


def test_out_of_maint_its_checks_run_first():
    fake = Fake()
    fake.admin["web1"] = "maint"
    assert "was in maint, restored" in put_back(fake)
    assert fake.writes == ["drain", "ready"]


def test_a_dead_application_is_put_back_as_well_for_the_check_to_find():
    fake = Fake()
    fake.admin["web1"] = "drain"
    fake.health["web1"] = "DOWN"
    text = put_back(fake)
    assert "was in drain, restored; web1 is set ready" in text
    assert fake.time <= 6


def test_a_ready_one_is_left_alone():
    fake = Fake()
    assert put_back(fake) == "app: was ready already, nothing to do"
    assert fake.writes == []


def test_a_backend_that_is_gone_does_not_keep_it_out_of_the_others():
    fake = Fake()
    fake.admin["web1"] = "drain"
    answer = fake.answer
    fake.answer = lambda command: "" if "state gone" in command else answer(command)
    with pytest.raises(FleetError, match="gone.*not on the balancer.*app: was in drain, restored"):
        put_back(fake, ("gone", "app"))
    assert fake.admin["web1"] == "ready"


def test_a_command_without_effect_is_no_success():
    fake = Fake()
    fake.admin["web1"] = "drain"
    fake.deaf = True
    with pytest.raises(FleetError, match="reads back as drain"):
        put_back(fake)


@pytest.mark.parametrize("found", ["maint", "drain"])
def test_what_an_operator_had_taken_out_stays_out_at_the_end(found):
    fake = Fake()
    fake.admin["web1"] = "maint"
    said = put_back(fake, memory={"app": Found(found, False)})
    assert fake.admin["web1"] == found
    assert f"in {found}" in said


def test_the_agent_is_given_back_also_where_somebody_was_faster():
    fake = Fake()
    fake.agent["web1"] = "off"
    put_back(fake, memory={"app": Found("ready", True)})
    assert fake.writes == ["+agent"]
    fake.admin["web1"] = "maint"
    fake.agent["web1"] = "off"
    put_back(fake, memory={"app": Found("ready", True)})
    assert (fake.admin["web1"], fake.agent["web1"]) == ("ready", "on")
    fake.agent["web1"] = "off"
    put_back(fake, memory={"app": Found("ready", False)})
    assert fake.agent["web1"] == "off", "an operator muted it"


def test_nobody_waits_for_slowstart_in_there():
    fake = Fake()
    fake.admin["web1"] = "drain"
    fake.throttle["web1"] = 3
    assert "restored and UP" in put_back(fake)
    assert fake.time <= 1


def test_what_is_known_after_the_end():
    memory = {
        "a": Found("ready", True),
        "b": Found("maint", True, 7, 9),
        "c": Found("drain", False),
    }
    assert leases.left_out(memory, ["a", "b", "x"]) == {"b": Found("maint", False, -1, 9)}


def test_out_again_an_agent_is_muted_first():
    fake = Fake()
    fake.agent["web1"] = "on"
    held = HELD._replace(hold=HOLD._replace(out=(("app", "maint"),)))
    clock = Clock(lambda: fake.time, lambda: fake.time, fake.sleep)
    leases.take_out_again(PaperAccess(late(fake)), held, ["app"], clock)
    assert fake.writes == ["-agent", "maint"]
