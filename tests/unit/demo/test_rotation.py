# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Time out of rotation, from what HAProxy said."""

import pytest

from demo.rotation import Change, Outage, Seen, changes, gone, outages, parse

IN = Seen(True, 0, 3)
BUSY = Seen(True, 8, 2)
IDLE = Seen(True, 8, 0)
IDLE_DOWN = Seen(False, 8, 0)
UNCHECKED = Seen(False, 0, 0)


def timeline(*states: Seen) -> list[tuple[float, Seen]]:
    return [(float(at), seen) for at, seen in enumerate(states)]


def test_outage_is_split_into_its_parts() -> None:
    seen = timeline(IN, BUSY, BUSY, BUSY, IDLE, IDLE_DOWN, UNCHECKED, IN, IN)
    assert outages(seen) == [Outage(1.0, draining=3, switching=2, checked=1, over=True)]
    assert outages(seen)[0].total == 6


def test_every_outage_counts_alone() -> None:
    assert outages(timeline(IN, IDLE, IN, BUSY, IDLE, IN)) == [
        Outage(1.0, 0, 1, 0, True),
        Outage(3.0, 1, 1, 0, True),
    ]


def test_server_that_never_came_back_is_still_out() -> None:
    assert outages(timeline(IN, BUSY, IDLE, IDLE)) == [Outage(1.0, 1, 1, 0, False)]


def test_server_that_came_back_in_the_last_look_is_back() -> None:
    assert outages(timeline(IN, IDLE, IN)) == [Outage(1.0, 0, 1, 0, True)]


@pytest.mark.parametrize("seen", [[], timeline(IN), timeline(IN, IN, IN)])
def test_no_outage(seen: list[tuple[float, Seen]]) -> None:
    assert outages(seen) == []


# HAProxy 2.8, both commands in one connection; the columns that nobody reads cut off.
ANSWER = """\
1
# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight
3 app 1 web1 127.0.0.11 0 8 1 1
3 app 2 web2 127.0.0.12 2 0 1 1

# pxname,svname,qcur,qmax,scur,smax,slim,stot
app,web1,0,0,4,9,,100,
app,web2,0,0,7,9,,120,

"""


def test_answer_of_haproxy_is_read() -> None:
    # web1's checks fail while it is drained: `show stat` would only say DOWN.
    assert parse(ANSWER) == {"web1": Seen(False, 8, 4), "web2": Seen(True, 0, 7)}
    assert not parse(ANSWER)["web1"].in_rotation and parse(ANSWER)["web2"].in_rotation


def test_half_an_answer_says_nothing() -> None:
    assert parse(ANSWER.partition("# pxname")[0]) == {}
    assert parse("Unknown command.\n") == {}


def test_changes_are_the_generations_that_answered() -> None:
    old = {"gunicorn": "20.0.1", "python": "3.6.15", "arbiter_pid": 7, "host": "web1"}
    new = {"gunicorn": "21.2.0", "python": "3.6.15", "arbiter_pid": 9, "host": "web1"}
    assert changes([(1.0, old), (2.0, old), (3.0, None), (4.0, new), (5.0, new)]) == [
        Change(1.0, "20.0.1", "3.6.15", 7),
        Change(4.0, "21.2.0", "3.6.15", 9),
    ]


def test_server_was_gone_from_its_last_answer_to_the_next() -> None:
    up, down = True, False
    assert gone([(0.0, up), (1.0, up), (1.5, down), (2.0, down), (2.5, up)]) == 1.5
    # Flapping is one outage: the first answer may come from a worker that is about to stop.
    assert gone([(0.0, up), (1.0, down), (2.0, up), (3.0, down), (4.0, up)]) == 4.0
    assert gone([(0.0, up), (1.0, up)]) == 0.0
