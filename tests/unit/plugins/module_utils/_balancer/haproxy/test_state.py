# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import errno
import socket

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer import shape
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.haproxy import (
    state as haproxy,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.haproxy.runtime import (
    NotStats,
    Unreachable,
    ask,
    parse_address,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError

# Cut from what HAProxy 2.6.12 wrote.
HEAD = (
    "# pxname,svname,qcur,scur,stot,status,weight,act,bck,type,check_status,check_fall,addr,cookie,"
    "mode,last_chk,hrsp_5xx,"
)
STATES = """1
# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight
4 app 1 web1 127.0.0.1 2 {0} 1 1
4 app 2 web2 127.0.0.1 2 {1} 1 1
4 app 3 web3 127.0.0.1 2 0 1 1
4 app 4 spare 127.0.0.1 2 0 1"""


def picture(
    web1="UP", web2="UP", web3="UP", spare="UP", bits=(0, 0), weight=1, act=3, cookie="", tables=()
):
    stat = "\n".join(
        [
            HEAD,
            "app,FRONTEND,,3,9,OPEN,,,,0,,,,,http,,0,",
            f"app,web1,1,2,9,{web1},1,1,0,2,L7OK,2,127.0.0.1:1,w1,http,,7,",
            f"app,web2,0,0,9,{web2},{weight},1,0,2,* L4CON,2,,,http,Connection refused,0,",
            f"app,web3,0,0,9,{web3},1,1,0,2,L7OK,2,,,http,,0,",
            f"app,spare,0,0,9,{spare},1,0,1,2,L7OK,2,,,http,,0,",
            f"app,BACKEND,0,2,9,UP,3,{act},1,1,,,,{cookie},http,,0,",
        ]
    )
    states = haproxy.parse_states(STATES.format(*bits))
    backends = haproxy.parse_backends(stat, states, tables)
    return shape.Picture(shape.Node("lb1", "2.6.12", 1, 2), "admin", tuple(backends))


def enough(need, **more):
    return shape.available(picture(**more).backends[0], "web1", shape.parse_need(need))


def test_a_server_is_read_from_both_answers():
    row = picture(web1="DOWN", bits=(8, 0)).mine("web1")[0]
    assert (row.status, row.admin, row.sessions, row.queue, row.busy) == ("DOWN", "drain", 2, 1, 3)
    assert row.counters == {"stot": 9, "hrsp_5xx": 7}
    assert picture().mine("web2")[0].check == "L4CON Connection refused"


def test_a_backend_that_nobody_named_has_the_same_server():
    text = """1
# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_port
4 app 1 web1 127.0.0.1 2 0 1
5 admin 1 w1 127.0.0.1 2 0 1
5 admin 2 w2 127.0.0.1 2 0 2
6 v6 1 x ::1 2 0 1
"""
    places = haproxy.parse_places(text)
    assert places[-1] == ("v6", "x", "[::1]:1")
    [told] = shape.elsewhere(places, picture().mine("web1"))
    assert "send requests to 127.0.0.1:1 too, as admin/w1:" in told
    assert shape.elsewhere(places[:1], picture().mine("web1")) == []
    assert shape.elsewhere(places, picture().mine("web2")) == [], "an address that is hidden"


@pytest.mark.parametrize(
    ("bits", "memory", "out"),
    [
        (0, {}, []),
        (1, {}, ["in MAINT"]),
        (8, {}, ["in DRAIN"]),
        (5, {}, ["in MAINT"]),  # disabled in the configuration
        (32, {}, ["in UP: the name of its address does not resolve, or what it tracks is out"]),
        (1, {"app": shape.Found("ready", False)}, []),
        (1, {"app": shape.Found("maint", False)}, ["in MAINT"]),
        (1, {"app": shape.Found("", True)}, ["in MAINT"]),
        (1, {"api": shape.Found("ready", False)}, ["in MAINT"]),
    ],
)
def test_who_took_it_out(bits, memory, out):
    rows = picture(bits=(bits, 0)).mine("web1")
    assert [how for _row, how in shape.out_by_others(rows, memory)] == out


def test_hazards():
    look = picture(cookie="SRV")
    row = look.mine("web1")[0]
    assert len(haproxy.hazards(look, [row])) == 1
    row = row._replace(agent="on", throttle=7)
    agent, cookie, slow = haproxy.hazards(look, [row])
    assert "muted" in agent and "cookie SRV" in cookie and "7 %" in slow
    assert not haproxy.hazards(picture(), [picture().mine("web2")[0]._replace(agent="off")])


def test_of_thousands_only_the_one_that_is_asked_for_is_read_with_its_counters():
    rows = ["app,web1,1,2,9,UP,1,1,0,2,L7OK,2,,w1,http,,7,", "app,web2,0,0,9,UP,1,1,0,2,,2,,,,,0,"]
    [web1, web2] = haproxy.parse_backends(
        "\n".join([HEAD, *rows, "app,BACKEND,0,2,9,UP,3,1,1,1,,,,,http,,0,"]),
        haproxy.parse_states(STATES.format(0, 0)),
        (),
        "web1",
    )[0].servers
    assert web1.counters and not web2.counters
    assert web2.status == "UP"


def test_a_backend_counts_for_itself_what_no_server_saw():
    stat = f"{HEAD}econ,\napp,BACKEND,,0,12,DOWN,0,0,0,1,,,,,http,,3,,\n"
    [backend] = haproxy.parse_backends(stat, {}, ())
    assert backend.counters == {"stot": 12, "hrsp_5xx": 3}, "an empty counter is none"
    assert picture().backends[0].counters == {"stot": 9, "hrsp_5xx": 0}


@pytest.mark.parametrize(
    ("bits", "admin", "own"),
    [
        (0, "ready", "ready"),
        (1, "maint", "maint"),
        (2, "maint", "ready"),  # inherited from the server it tracks
        (4, "ready", "ready"),  # was disabled in the configuration, and set ready since
        (5, "maint", "maint"),
        (8, "drain", "drain"),
        (9, "maint", "maint"),
        (16, "drain", "ready"),
        (32, "maint", "ready"),  # no address
        (64, "ready", "ready"),  # name set by hand
    ],
)
def test_admin_bits(bits, admin, own):
    row = picture(bits=(bits, 0)).mine("web1")[0]
    assert (row.admin, row.own) == (admin, own)


@pytest.mark.parametrize(
    "status", ["UP 1/3", "DOWN", "DOWN 1/2", "DRAIN", "MAINT", "NOLB", "MAINT (via app/web9)", ""]
)
def test_only_a_true_up_counts(status):
    assert enough("2").up == ["web2", "web3"]
    assert enough("2").enough
    found = enough("2", web2=status)
    assert found.up == ["web3"]
    assert not found.enough
    assert found.possible
    assert f"web2 is {status} (L4CON Connection refused)" in found.reason


def test_no_check_counts_and_weight_zero_does_not():
    assert enough("2", web2="no check").enough
    assert enough("2", weight=0).up == ["web3"]


def test_a_server_that_is_taken_out_does_not_count_whatever_its_status_says():
    assert enough("1", bits=(0, 8)).up == ["web3"]


def test_the_server_itself_never_counts():
    assert "web1" not in enough("1").up


def test_a_backup_counts_when_it_is_in_use():
    assert "spare" not in enough("1").up
    assert enough("1", web1="DOWN", web2="DOWN", web3="DOWN", act=0).up == ["spare"]


@pytest.mark.parametrize(
    ("need", "wanted"),
    [("0", 0), ("1", 1), ("0%", 0), ("1%", 1), ("33%", 1), ("34%", 2), ("50%", 2), (" 66 % ", 2)],
)
def test_how_many_are_needed_of_three(need, wanted):
    found = enough(need)
    assert (found.total, found.wanted) == (3, wanted)
    assert found.enough


@pytest.mark.parametrize("need", ["3", "67%", "100%"])
def test_what_can_never_hold_is_said(need):
    found = enough(need)
    assert not found.possible
    assert not found.enough
    assert "can never hold" in found.reason


@pytest.mark.parametrize("need", ["", "one", "-1", "101%", "1.5", "1;2"])
def test_a_need_that_is_none(need):
    with pytest.raises(FleetError, match="min_available"):
        shape.parse_need(need)


def test_sticky():
    look = picture(cookie="SRV")
    web1, web2 = look.mine("web1")[0], look.mine("web2")[0]
    assert haproxy.sticky(look.backends[0], web1) == "cookie SRV"
    assert haproxy.sticky(look.backends[0], web2) == "", "it has no cookie of its own"
    assert haproxy.sticky(picture(tables=["app"]).backends[0], web2) == "stick table"
    assert haproxy.sticky(picture(tables=["api"]).backends[0], web1) == ""


@pytest.mark.parametrize(
    ("text", "commands", "answers"),
    [
        ("a: b\n\n", 1, ["a: b"]),
        ("a\nb\n\nadmin\n\n", 2, ["a\nb", "admin"]),
        ("\n", 1, [""]),
        ("a\n\n\nb\n\n", 3, ["a", "", "b"]),
        ("a\n\n\n", 2, ["a", ""]),
        ("a\n\n\n", 1, ["a"]),
    ],
)
def test_answers_end_with_an_empty_line(text, commands, answers):
    assert haproxy.split_answers(text, ["x"] * commands) == answers


@pytest.mark.parametrize(
    ("text", "commands"),
    [
        ("", 1),
        ("a", 1),
        ("a\n\nb", 2),
        ("a\n\n", 2),
        ("a\n\nb\n\n", 1),
        ("HTTP/1.0 400 Bad\r\n", 2),
    ],
)
def test_an_answer_cut_short_is_none(text, commands):
    with pytest.raises(haproxy.NotHaproxy):
        haproxy.split_answers(text, ["show info"] * commands)


@pytest.mark.parametrize(
    ("answer", "advice"),
    [
        ("Permission denied", "level admin"),
        ("No such server.", "names"),
        ("No such backend.", "names"),
        ("Unknown command, but maybe one of the following", "not the runtime API"),
        ("'set server <srv> state' expects 'ready', 'drain' and 'maint'.", "by hand"),
    ],
)
def test_only_silence_is_success(answer, advice):
    haproxy.check_written("set server app/web1 state drain", "")
    with pytest.raises(FleetError) as caught:
        haproxy.check_written("set server app/web1 state drain", answer)
    assert answer[:20] in str(caught.value)
    assert advice in str(caught.value)


@pytest.mark.parametrize("name", ["", "a b", "a;b", "a\n", "a/b", "ä", "x'"])
def test_a_name_cannot_smuggle_a_command(name):
    with pytest.raises(FleetError, match="cannot be the name"):
        haproxy.check_name("server", name)


def test_other_names_pass():
    for name in ("web1", "10.0.0.1:80", "web_1-a"):
        haproxy.check_name("server", name)


def test_who_is_not_haproxy():
    for text in ("", "HTTP/1.0 400 Bad request", "Name: x", "Version: 2\nPid: x\nUptime_sec: 1"):
        with pytest.raises(haproxy.NotHaproxy):
            haproxy.parse_node(text)
    with pytest.raises(haproxy.NotHaproxy):
        haproxy.parse_backends("Permission denied", {}, [])


def test_an_unknown_server_is_answered_with_the_known_ones():
    with pytest.raises(FleetError, match="web1, web2, web3, spare"):
        picture().mine("web9")


def test_a_list_of_500_names_stays_readable():
    assert shape.some(range(500), 3) == "0, 1, 2, and 497 more"
    assert shape.some([]) == "none"


# -- the socket ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("/run/a.sock", "/run/a.sock"),
        ("unix:///run/a.sock", "/run/a.sock"),
        ("tcp://lb.example:9999", ("lb.example", 9999)),
        ("tcp://[::1]:9999", ("::1", 9999)),
    ],
)
def test_addresses(text, where):
    assert parse_address(text).where == where


@pytest.mark.parametrize(
    "text", ["", "a.sock", "unix://a.sock", "http://h:1", "tcp://h", "tcp://h:0", "tcp://h:99999"]
)
def test_what_is_no_address(text):
    with pytest.raises(FleetError, match="socket is"):
        parse_address(text)


class Link:
    """A socket that answers with these chunks, or raises them."""

    def __init__(self, chunks):
        self.chunks = list(chunks)
        self.sent = b""

    def __enter__(self):
        return self

    def __exit__(self, *args):
        return None

    def settimeout(self, timeout):
        assert timeout > 0

    def sendall(self, data):
        self.sent += data

    def recv(self, size):
        chunk = self.chunks.pop(0)
        if isinstance(chunk, Exception):
            raise chunk
        return chunk


def talk(monkeypatch, chunks, clock=lambda: 0.0):
    link = Link(chunks)
    monkeypatch.setattr(socket, "create_connection", lambda where, timeout: link)
    return link, ask(parse_address("tcp://lb:1"), ["show info", "show stat"], 5, clock)


def test_commands_go_in_one_line_and_the_answer_is_whole(monkeypatch):
    link, text = talk(monkeypatch, [b"a", b"b\n\n", b""])
    assert link.sent == b"show info; show stat\n"
    assert text == "ab\n\n"


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (socket.timeout("timed out"), "wedged"),  # noqa: UP041 (another class before 3.10)
        (OSError(errno.ECONNRESET, "Connection reset by peer"), "reset by peer"),
        (OSError(errno.EACCES, "x"), "operating system denied"),
        (OSError(errno.ECONNREFUSED, "x"), "Nobody listens"),
    ],
)
def test_every_failure_says_what_to_do(monkeypatch, failure, words):
    with pytest.raises(Unreachable, match=words):
        talk(monkeypatch, [failure])


MASTER = b"""Unknown command: 'show', but maybe one of the following ones is a better match:
  show cli level                          : display the level of the current CLI session
  show proc                               : show processes status
  help [<command>]                        : list matching or all commands

admin

"""


def test_the_master_socket_is_named_as_such(monkeypatch):
    # It answers at once and never closes the connection, which looked like a wedged HAProxy.
    with pytest.raises(NotStats, match=r"master's socket.*stats socket"):
        talk(monkeypatch, [MASTER, socket.timeout("timed out")])  # noqa: UP041
    with pytest.raises(Unreachable, match="wedged"):
        talk(monkeypatch, [b"Name: HAProxy\n", socket.timeout("timed out")])  # noqa: UP041


def test_silence_is_an_error(monkeypatch):
    with pytest.raises(Unreachable, match="without an answer"):
        talk(monkeypatch, [b""])


def test_a_trickle_does_not_stretch_the_deadline(monkeypatch):
    ticks = iter(range(100))
    with pytest.raises(Unreachable, match="wedged"):
        talk(monkeypatch, [b"a"] * 100, lambda: next(ticks))


def test_how_much_the_process_has_served_itself():
    """A stats-file brings the counters of an earlier process along, and not this one."""
    told = "node: lb1\nVersion: 3.0\nPid: 3\nUptime_sec: 4\nCumReq: 77\n"
    assert haproxy.parse_node(told).requests == 77
    assert haproxy.parse_node(told.replace("CumReq: 77\n", "")).requests is None
