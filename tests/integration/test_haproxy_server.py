# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""haproxy_server and haproxy_server_info against a real HAProxy with real servers."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.client import HTTPException
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from balancer_support import (
    App,
    Haproxy,
    Relay,
    Request,
    Run,
    free_port,
    get,
    haproxy_param,
    until,
)

pytestmark = haproxy_param()

CHECKED = """
backend app
  option httpchk GET /
  server web1 127.0.0.1:{web1} check
  server web2 127.0.0.1:{web2} check
"""
WEIGHED = """
backend app
  balance {balance}
  option httpchk GET /
  server web1 127.0.0.1:{{web1}} check weight 100
  server web2 127.0.0.1:{{web2}} check weight 100
"""
STICKY = """
backend app
  option httpchk GET /
  cookie SRV insert indirect nocache
  server web1 127.0.0.1:{web1} check cookie w1
  server web2 127.0.0.1:{web2} check cookie w2
"""


@pytest.fixture
def apps() -> Iterator[SimpleNamespace]:
    found = SimpleNamespace(web1=App("web1"), web2=App("web2"))
    yield found
    for app in (found.web1, found.web2):
        app.let_go.set()
        app.stop()


@pytest.fixture
def start(binary: str, apps: SimpleNamespace, tmp_path: Path) -> Iterator[Callable[..., Haproxy]]:
    """Start HAProxy with these backends; wait until the servers of `app` are UP."""
    started = []

    def go(backends: str = CHECKED, mode: str = "http", up: bool = True) -> Haproxy:
        text = backends.format(web1=apps.web1.port, web2=apps.web2.port)
        balancer = Haproxy(binary, tmp_path, text, mode)
        started.append(balancer)
        if up:
            balancer.wait_up("app/web1", "app/web2")
        return balancer

    yield go
    for balancer in started:
        balancer.stop()


def begin(balancer: Haproxy | str, state: str = "drained", **more: Any) -> Run:
    args: dict[str, Any] = {
        "socket": balancer if isinstance(balancer, str) else balancer.socket(),
        "backends": ["app"],
        "server": "web1",
        "state": state,
        "drain_timeout": 20,
        "up_timeout": 20,
        **(
            {} if isinstance(balancer, str) else {"lease_directory": f"{balancer.directory}/leases"}
        ),
        **more,
    }
    return Run("haproxy_server", **args)


def do(balancer: Haproxy | str, state: str = "drained", **more: Any) -> dict[str, Any]:
    return begin(balancer, state, **more).result()


def ok(result: dict[str, Any]) -> dict[str, Any]:
    assert not result.get("failed"), result.get("msg")
    return result


def slow(balancer: Haproxy, server: str = "web1", cookie: str = "") -> list[Request]:
    """Requests in flight until one of them is on that server."""
    requests: list[Request] = []

    def arrived() -> bool:
        if int(balancer.rows()[f"app/{server}"]["scur"]) > 0:
            return True
        requests.append(Request(balancer.port, "/slow", cookie))
        time.sleep(0.1)
        return int(balancer.rows()[f"app/{server}"]["scur"]) > 0

    until(arrived, f"a request is in flight on {server}")
    return requests


# -- the ordinary way ---------------------------------------------------------------------------


def test_a_drain_waits_for_the_request_in_flight_and_ready_for_a_true_up(
    start: Callable[..., Haproxy], apps: SimpleNamespace
) -> None:
    balancer = start()
    requests = slow(balancer)
    run = begin(balancer)
    balancer.wait("app/web1", "DRAIN")
    assert run.running(), run.result()
    # New requests go elsewhere while the old one is still there.
    assert {get(balancer.port) for _turn in range(6)} == {"200 web2"}
    assert balancer.rows()["app/web1"]["scur"] != "0"
    apps.web1.let_go.set()
    apps.web2.let_go.set()
    result = ok(run.result())
    assert {request.result() for request in requests} <= {"200 web1", "200 web2"}
    assert result["changed"]
    assert result["diff"] == {"before": {"app/web1": "ready"}, "after": {"app/web1": "maint"}}
    assert result["sessions_cut"] == 0
    assert result["waited"] > 0
    assert abs(result["drained_at"] - time.time()) < 30
    assert result["servers"][0]["status"] == "MAINT"
    assert result["servers"][0]["counters"]["stot"] >= 1
    assert result["servers"][0]["address"] == f"127.0.0.1:{apps.web1.port}"
    assert result["available"]["app"] == {
        "up": ["web2"],
        "total": 2,
        "wanted": 1,
        "possible": True,
        "enough": True,
    }
    assert result["node"]["pid"] == balancer.pid()

    again = ok(do(balancer))
    assert not again["changed"]

    back = ok(do(balancer, "ready"))
    assert back["changed"]
    assert back["ready_at"] <= back["up_at"]
    assert balancer.status("app/web1") == "UP"
    assert not ok(do(balancer, "ready"))["changed"]


def test_check_mode_plans_the_same_and_writes_nothing(start: Callable[..., Haproxy]) -> None:
    balancer = start()
    planned = ok(do(balancer, check_mode=True))
    assert planned["changed"]
    assert planned["diff"] == {"before": {"app/web1": "ready"}, "after": {"app/web1": "maint"}}
    assert balancer.status("app/web1") == "UP"
    real = ok(do(balancer))
    assert real["diff"] == planned["diff"]
    planned = ok(do(balancer, "ready", check_mode=True))
    assert planned["diff"] == {"before": {"app/web1": "maint"}, "after": {"app/web1": "ready"}}
    assert balancer.status("app/web1") == "MAINT"


def test_over_tcp(start: Callable[..., Haproxy]) -> None:
    balancer = start()
    address = f"tcp://127.0.0.1:{balancer.admin_port}"
    assert ok(do(address))["changed"]
    assert balancer.status("app/web1") == "MAINT"
    assert ok(do(address, "ready"))["changed"]


def test_all_backends_of_a_server_are_drained_or_none(start: Callable[..., Haproxy]) -> None:
    balancer = start(
        CHECKED
        + """
backend api
  option httpchk GET /
  server web1 127.0.0.1:{web1} check
  server web2 127.0.0.1:{web2} check disabled
"""
    )
    refused = do(balancer, backends=["app", "api"])
    assert refused["failed"]
    assert "backend api" in refused["msg"]
    assert "web2 is MAINT" in refused["msg"]
    assert balancer.status("app/web1") == "UP", "read all before the first write"

    balancer.ask("enable server api/web2")
    balancer.wait_up("api/web2", "api/web1")
    result = ok(do(balancer, backends=["app", "api"]))
    assert result["diff"]["after"] == {"app/web1": "maint", "api/web1": "maint"}
    assert balancer.status("api/web1") == balancer.status("app/web1") == "MAINT"
    ok(do(balancer, "ready", backends=["app", "api"]))
    assert balancer.status("api/web1") == balancer.status("app/web1") == "UP"


def test_a_frontend_of_the_same_name_is_not_taken_for_the_backend(
    start: Callable[..., Haproxy],
) -> None:
    # The fixture's frontend and backend are both called app.
    balancer = start()
    assert "FRONTEND" in balancer.ask("show stat app -1 -1")
    assert ok(do(balancer))["servers"][0]["backend"] == "app"


# -- what is refused ----------------------------------------------------------------------------


def test_too_few_others_up(start: Callable[..., Haproxy], apps: SimpleNamespace) -> None:
    balancer = start()
    apps.web2.stop()
    balancer.wait("app/web2", "DOWN")
    refused = do(balancer)
    assert refused["failed"]
    assert "web2 is DOWN (L4CON Connection refused)" in refused["msg"]
    assert not refused["changed"]
    assert do(balancer, check_mode=True)["failed"]
    assert balancer.status("app/web1") == "UP"
    apps.web2.start()
    balancer.wait_up("app/web2")
    for impossible in ("2", "100%"):
        assert "can never hold" in do(balancer, min_available=impossible)["msg"]
    assert "min_available" in do(balancer, min_available="most")["msg"]
    assert balancer.status("app/web1") == "UP"
    ok(do(balancer, min_available="50%"))


def test_the_others_fall_while_a_request_is_awaited(
    start: Callable[..., Haproxy], apps: SimpleNamespace
) -> None:
    balancer = start()
    slow(balancer)
    run = begin(balancer)
    balancer.wait("app/web1", "DRAIN")
    apps.web2.stop()
    result = run.result()
    assert result["failed"]
    assert "too few others were left" in result["msg"]
    assert "put back" in result["msg"]
    assert balancer.status("app/web1").startswith("UP")
    assert not result["changed"]
    apps.web2.start()


def test_another_whose_checks_fail_now_and_then_serves_all_the_same(
    start: Callable[..., Haproxy], apps: SimpleNamespace
) -> None:
    balancer = start()
    apps.web2.failing_check = 2
    try:
        balancer.wait("app/web2", "UP 1/2")
        slow(balancer)
        run = begin(balancer)
        balancer.wait("app/web1", "DRAIN")
        for _time in range(3):
            balancer.wait("app/web2", "UP 1/2")
            balancer.wait_up("app/web2")
        apps.web1.let_go.set()
        ok(run.result())
    finally:
        apps.web2.failing_check = 0


@pytest.mark.parametrize("level", ["operator", "user"])
def test_a_socket_that_may_only_read(start: Callable[..., Haproxy], level: str) -> None:
    balancer = start()
    for check_mode in (False, True):
        result = do(balancer.socket(level), check_mode=check_mode)
        assert result["failed"]
        assert f"level '{level}'" in result["msg"]
        assert "level admin" in result["msg"]
    info = ok(Run("haproxy_server_info", socket=balancer.socket(level), backends=["app"]).result())
    assert info["level"] == level


def test_unknown_names(start: Callable[..., Haproxy]) -> None:
    balancer = start()
    result = do(balancer, server="web9")
    assert result["failed"]
    assert "'web9'" in result["msg"] and "web1, web2" in result["msg"]
    result = do(balancer, backends=["app", "nope"])
    assert result["failed"]
    assert "'nope'" in result["msg"] and "app" in result["msg"]
    assert "cannot be the name" in do(balancer, server="web1; shutdown sessions")["msg"]
    assert balancer.status("app/web1") == "UP"


# -- sockets that fail --------------------------------------------------------------------------


def test_a_wedged_haproxy_is_an_error_in_bounded_time(start: Callable[..., Haproxy]) -> None:
    balancer = start()
    worker = balancer.pid()
    os.kill(worker, signal.SIGSTOP)
    try:
        result = do(balancer, socket_timeout=1)
        assert result["failed"]
        assert "wedged" in result["msg"]
    finally:
        os.kill(worker, signal.SIGCONT)
    assert balancer.status("app/web1") == "UP"


def test_wedged_in_mid_drain_says_that_the_server_may_be_out(
    start: Callable[..., Haproxy],
) -> None:
    balancer = start()
    slow(balancer)
    run = begin(balancer, socket_timeout=1)
    balancer.wait("app/web1", "DRAIN")
    worker = balancer.pid()
    os.kill(worker, signal.SIGSTOP)
    try:
        result = run.result()
    finally:
        os.kill(worker, signal.SIGCONT)
    assert result["failed"]
    assert "MAY STILL BE OUT OF ROTATION" in result["msg"]
    assert result["changed"]


def test_no_socket_and_nobody_behind_it(binary: str, tmp_path: Path) -> None:
    result = do(str(tmp_path / "absent.sock"))
    assert "There is no such socket" in result["msg"]
    left_over = tmp_path / "left.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(left_over))
    assert "refused" in do(str(left_over))["msg"]
    (tmp_path / "file").write_text("")
    assert "not a socket" in do(str(tmp_path / "file"))["msg"]
    assert "refused" in do(f"tcp://127.0.0.1:{free_port()}")["msg"]
    assert "socket is 'haproxy'" in do("haproxy")["msg"]


def test_another_service_is_not_taken_for_haproxy(binary: str, apps: SimpleNamespace) -> None:
    result = do(f"tcp://127.0.0.1:{apps.web1.port}", socket_timeout=2)
    assert result["failed"]
    assert "HAProxy" in result["msg"]


# -- servers in odd states ----------------------------------------------------------------------


@pytest.mark.parametrize("state", ["drain", "maint"])
def test_already_out_is_left_so_and_its_sessions_are_awaited(
    start: Callable[..., Haproxy], apps: SimpleNamespace, state: str
) -> None:
    balancer = start()
    slow(balancer)
    balancer.ask(f"set server app/web1 state {state}")
    run = begin(balancer)
    time.sleep(1)
    assert run.running(), run.result()
    apps.web1.let_go.set()
    apps.web2.let_go.set()
    result = ok(run.result())
    # DRAIN is no proof that nothing comes.
    assert result["changed"] is (state == "drain")
    assert result["servers"][0]["admin"] == "maint"
    assert any(f"already was in {state}, and is left so" in note for note in result["notes"])
    back = ok(do(balancer, "ready"))
    assert back["servers"][0]["admin"] == state and back["servers"][0]["left_out"]
    assert any("by somebody else's hand" in note for note in back["notes"])


def test_a_server_that_is_down_can_be_drained_whatever_the_others_do(
    start: Callable[..., Haproxy], apps: SimpleNamespace
) -> None:
    balancer = start()
    apps.web1.stop()
    apps.web2.stop()
    balancer.wait("app/web1", "DOWN")
    balancer.wait("app/web2", "DOWN")
    result = ok(do(balancer))
    assert result["changed"]
    assert result["servers"][0]["status"] == "MAINT"
    assert not ok(do(balancer))["changed"]
    apps.web1.start()
    apps.web2.start()


def test_servers_without_a_check(start: Callable[..., Haproxy]) -> None:
    balancer = start(CHECKED.replace(" check", ""), up=False)
    result = ok(do(balancer))
    assert any("does not check" in note for note in result["notes"])
    assert balancer.status("app/web1") == "MAINT"
    result = ok(do(balancer, "ready"))
    assert result["servers"][0]["status"] == "no check"
    assert any("not checked" in note for note in result["notes"])


def test_ready_does_not_believe_a_server_out_of_maint(
    start: Callable[..., Haproxy], apps: SimpleNamespace
) -> None:
    balancer = start()
    balancer.ask("set server app/web1 state maint")
    apps.web1.stop()
    result = do(balancer, "ready", up_timeout=2)
    assert result["failed"]
    # On a busy machine HAProxy leaves out the words for it.
    assert "web1 is DOWN (L4CON" in result["msg"]
    assert {get(balancer.port) for _turn in range(6)} == {"200 web2"}
    assert balancer.rows()["app/web1"]["econ"] == "0", "no user met the dead server"
    apps.web1.start()
    assert ok(do(balancer, "ready"))["servers"][0]["status"] == "UP"


def test_ready_after_a_drain_waits_for_the_application(
    start: Callable[..., Haproxy], apps: SimpleNamespace
) -> None:
    balancer = start()
    ok(do(balancer))
    apps.web1.stop()
    run = begin(balancer, "ready")
    balancer.wait("app/web1", "DOWN")
    time.sleep(0.5)
    assert run.running(), run.result()
    apps.web1.start()
    result = ok(run.result())
    assert result["ready_at"] < result["up_at"]


def test_weight_zero_is_reported(start: Callable[..., Haproxy]) -> None:
    balancer = start()
    balancer.ask("set server app/web1 weight 0")
    assert any("weight 0" in note for note in ok(do(balancer, "ready"))["notes"])
    result = do(balancer, server="web2")
    assert result["failed"], "a server of weight 0 does not serve"
    assert "weight 0" in result["msg"]


# -- sessions that do not end -------------------------------------------------------------------


def test_a_timeout_restores(start: Callable[..., Haproxy]) -> None:
    balancer = start()
    slow(balancer)
    result = do(balancer, drain_timeout=0.5)
    assert result["failed"]
    assert "1 session(s)" in result["msg"]
    assert "put back" in result["msg"]
    assert balancer.status("app/web1") == "UP"
    assert not result["changed"] and not result["left_drained"]


def test_a_timeout_fails_and_leaves_it(start: Callable[..., Haproxy]) -> None:
    balancer = start()
    slow(balancer)
    result = do(balancer, drain_timeout=0.5, on_timeout="fail")
    assert result["failed"] and result["changed"] and result["left_drained"]
    assert balancer.status("app/web1") == "DRAIN"


def test_a_timeout_forces_and_counts(start: Callable[..., Haproxy]) -> None:
    balancer = start()
    slow(balancer)
    result = ok(do(balancer, drain_timeout=0.5, on_timeout="force"))
    assert result["sessions_cut"] >= 1
    assert balancer.status("app/web1") == "MAINT"
    assert result["diff"]["after"] == {"app/web1": "maint"}


def test_mode_tcp_counts_connections(start: Callable[..., Haproxy]) -> None:
    balancer = start(
        """
backend app
  server web1 127.0.0.1:{web1} check
  server web2 127.0.0.1:{web2} check
""",
        mode="tcp",
    )
    idle = [socket.create_connection(("127.0.0.1", balancer.port)) for _turn in range(2)]
    until(lambda: balancer.rows()["app/web1"]["scur"] != "0", "a connection is on web1")
    result = do(balancer, drain_timeout=0.5)
    assert result["failed"]
    assert "mode tcp" in result["msg"]
    run = begin(balancer)
    balancer.wait("app/web1", "DRAIN")
    for link in idle:
        link.close()
    ok(run.result())


class Traffic:
    """Clients that never retry; every answer is kept."""

    def __init__(self, balancer: Haproxy, clients: int = 1, path: str = "/", cookie: str = ""):
        self.answers: list[str] = []
        self._stop = threading.Event()
        self._work = (balancer.port, path, cookie)
        self._threads = [threading.Thread(target=self._go, daemon=True) for _turn in range(clients)]
        for thread in self._threads:
            thread.start()

    def _go(self) -> None:
        while not self._stop.is_set():
            try:
                self.answers.append(get(*self._work))
            except (OSError, HTTPException) as exc:
                self.answers.append(repr(exc))
            time.sleep(0.01)

    def go_on(self, more: int = 20) -> None:
        since = len(self.answers)
        until(lambda: len(self.answers) > since + more, "traffic goes on")

    def stop(self) -> list[str]:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)
        return self.answers


def test_an_application_restarted_while_drained_loses_no_request(
    start: Callable[..., Haproxy], apps: SimpleNamespace
) -> None:
    balancer = start()
    traffic = Traffic(balancer, clients=4, path="/work")
    until(lambda: "200 web1" in traffic.answers, "web1 serves")
    ok(do(balancer))
    apps.web1.stop()
    since = len(traffic.answers)
    traffic.go_on()
    assert "200 web1" not in traffic.answers[since:]
    apps.web1.start()
    ok(do(balancer, "ready"))
    since = len(traffic.answers)
    until(lambda: "200 web1" in traffic.answers[since:], "web1 serves again")
    assert set(traffic.stop()) == {"200 web1", "200 web2"}


def test_a_sticky_server_ends_in_maint_so_that_no_cookie_reaches_it(
    start: Callable[..., Haproxy],
) -> None:
    balancer = start(STICKY)
    traffic = Traffic(balancer, cookie="SRV=w1")
    until(lambda: "200 web1" in traffic.answers, "the cookie leads to web1")
    result = ok(do(balancer))
    since = len(traffic.answers) + 1
    traffic.go_on()
    served = traffic.stop()
    assert result["diff"]["after"] == {"app/web1": "maint"}
    assert set(served[since:]) == {"200 web2"}
    assert ok(do(balancer, check_mode=True))["changed"] is False
    assert ok(do(balancer, "ready"))["servers"][0]["status"] == "UP"
    assert get(balancer.port, cookie="SRV=w1") == "200 web1"


@pytest.mark.parametrize(
    ("policy", "status", "failed"),
    [("restore", "UP", True), ("fail", "DRAIN", True), ("force", "MAINT", False)],
)
def test_a_sticky_server_that_never_is_idle(
    start: Callable[..., Haproxy], policy: str, status: str, failed: bool
) -> None:
    balancer = start(STICKY)
    slow(balancer, cookie="SRV=w1")
    result = do(balancer, drain_timeout=0.7, on_timeout=policy)
    assert bool(result.get("failed")) is failed
    assert balancer.status("app/web1") == status
    if failed:
        assert "is sticky (cookie SRV)" in result["msg"]
    else:
        assert result["sessions_cut"] >= 1


def test_requests_that_come_to_a_draining_server_take_it_to_maint(
    start: Callable[..., Haproxy], apps: SimpleNamespace
) -> None:
    # use-server ignores DRAIN, and neither cookie nor table shows it.
    balancer = start(CHECKED + "  use-server web1 if {{ path_beg /mine }}\n")
    slow(balancer)
    run = begin(balancer)
    balancer.wait("app/web1", "DRAIN")
    assert get(balancer.port, "/mine") == "200 web1"
    apps.web1.let_go.set()
    apps.web2.let_go.set()
    result = ok(run.result())
    assert balancer.status("app/web1") == "MAINT"
    assert any("while it was in DRAIN" in note for note in result["notes"])


SEVERAL = """
backend app
  option httpchk GET /
  balance roundrobin
  server web1 127.0.0.1:{{web1}} check weight 100 {more} cookie w1
  server web2 127.0.0.1:{{web2}} check weight 100 cookie w2
"""


def test_an_agent_does_not_undo_a_drain_nor_a_share(start: Callable[..., Haproxy]) -> None:
    words = ["up ready"]
    agent = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        while True:
            try:
                link = agent.accept()[0]
            except OSError:
                return
            with link:
                link.sendall(words[0].encode() + b"\n")

    threading.Thread(target=answer, daemon=True).start()
    port = agent.getsockname()[1]
    balancer = start(SEVERAL.format(more=f"agent-check agent-port {port} agent-inter 100ms"))
    try:
        ok(do(balancer))
        time.sleep(0.5)
        assert balancer.status("app/web1") == "MAINT"
        words[0] = "75%"
        ok(do(balancer, "ready", share=10))
        time.sleep(0.5)
        assert balancer.rows()["app/web1"]["weight"] == "10"
        ok(do(balancer, "ready", share=100))
        until(lambda: balancer.rows()["app/web1"]["weight"] == "75", "it is heard again")
    finally:
        agent.close()


def test_requests_that_come_even_in_maint_are_no_drain(start: Callable[..., Haproxy]) -> None:
    balancer = start(STICKY + "  option persist\n")
    traffic = Traffic(balancer, cookie="SRV=w1")
    until(lambda: "200 web1" in traffic.answers, "the cookie leads to web1")
    result = do(balancer)
    assert result["failed"] and "even in MAINT" in result["msg"], result
    assert "`option persist`" in result["msg"] and "put back" in result["msg"]
    balancer.wait_up("app/web1")
    assert set(traffic.stop()) == {"200 web1"}


def test_what_slowstart_holds_back_is_waited_for_and_does_not_count(
    start: Callable[..., Haproxy],
) -> None:
    balancer = start(SEVERAL.format(more="slowstart 3s"))
    ok(do(balancer))
    run = begin(balancer, "ready")
    until(lambda: balancer.rows()["app/web1"]["throttle"], "it comes back slowly")
    refused = do(balancer, server="web2")
    assert refused["failed"] and "held back by slowstart" in refused["msg"], refused
    assert run.running()
    ok(run.result())
    assert not balancer.rows()["app/web1"]["throttle"]


def test_with_fall_1_a_dead_server_meets_no_user(
    start: Callable[..., Haproxy], apps: SimpleNamespace
) -> None:
    balancer = start(CHECKED.replace(" check", " check inter 1s fall 1"))
    ok(do(balancer))
    apps.web1.stop()
    run = begin(balancer, "ready", up_timeout=3)
    while run.running():
        assert get(balancer.port) == "200 web2"
    assert "web1 is DOWN" in run.result()["msg"]
    assert balancer.rows()["app/web1"]["econ"] == "0"
    apps.web1.start()


# -- several at once ----------------------------------------------------------------------------


def test_drains_at_the_same_time_never_leave_too_few(
    binary: str, apps: SimpleNamespace, tmp_path: Path
) -> None:
    """Eight modules at once, each of which alone would be right, behind a socket so slow that
    all of them have counted before the first one has written."""
    servers = [f"web{number}" for number in range(8)]
    # Without a check: what is counted is what the drains themselves do.
    lines = "".join(f"  server {name} 127.0.0.1:{apps.web1.port}\n" for name in servers)
    balancer = Haproxy(binary, tmp_path, f"backend app\n{lines}")
    relay = Relay(tmp_path, balancer.socket())
    relay.delay = 0.2
    fewest = len(servers)
    done = threading.Event()

    def watch() -> None:
        nonlocal fewest
        while not done.is_set():
            rows = balancer.rows()
            fewest = min(
                fewest, sum(rows[f"app/{name}"]["status"] == "no check" for name in servers)
            )
            time.sleep(0.01)

    watcher = threading.Thread(target=watch)
    try:
        watcher.start()
        runs = [
            begin(
                balancer,
                socket=relay.path,
                server=name,
                min_available="5",
                lease=60 * (number % 2),
            )
            for number, name in enumerate(servers)
        ]
        results = [run.result() for run in runs]
        out = [name for name in servers if balancer.status(f"app/{name}") == "MAINT"]
        assert fewest == 5, "never fewer, and no drain was refused that could have been"
        assert len(out) == 3
        assert [r["servers"][0]["server"] for r in results if not r.get("failed")] == out
        refused = [result for result in results if result.get("failed")]
        assert all("min_available asks for 5 of 8" in result["msg"] for result in refused)
        assert not any(result["changed"] for result in refused)
    finally:
        done.set()
        watcher.join(10)
        for name in servers:
            do(balancer, "ready", server=name, socket=relay.path)
        relay.close()
        balancer.stop()


def test_a_drain_that_waits_is_not_disturbed_by_another_that_is_right(
    binary: str, apps: SimpleNamespace, tmp_path: Path
) -> None:
    lines = "".join(
        f"  server {name} 127.0.0.1:{app.port} check\n"
        for name, app in (("web1", apps.web1), ("web2", apps.web2), ("web3", apps.web2))
    )
    balancer = Haproxy(binary, tmp_path, f"backend app\n  option httpchk GET /\n{lines}")
    try:
        balancer.wait_up("app/web1", "app/web2", "app/web3")
        slow(balancer)
        first = begin(balancer)
        balancer.wait("app/web1", "DRAIN")
        apps.web2.let_go.set()
        # Nobody is kept waiting until the first one's sessions have ended.
        ok(do(balancer, server="web2"))
        assert first.running()
        refused = do(balancer, server="web3")
        assert "min_available asks for 1 of 3" in refused["msg"]
        apps.web1.let_go.set()
        ok(first.result())
        assert [balancer.status(f"app/web{number}") for number in (1, 2, 3)] == [
            "MAINT",
            "MAINT",
            "UP",
        ]
    finally:
        balancer.stop()


def test_when_the_other_falls_the_server_is_restored(
    start: Callable[..., Haproxy], apps: SimpleNamespace
) -> None:
    balancer = start()
    slow(balancer)
    run = begin(balancer)
    balancer.wait("app/web1", "DRAIN")
    apps.web2.stop()
    balancer.wait("app/web2", "DOWN")
    until(lambda: balancer.status("app/web1").startswith("UP"), "web1 is back")
    assert "too few others were left" in run.result()["msg"]
    apps.web2.start()


# -- reload in between --------------------------------------------------------------------------


def test_a_reload_in_mid_drain_is_drained_again(
    start: Callable[..., Haproxy], apps: SimpleNamespace
) -> None:
    balancer = start()
    requests = slow(balancer)
    run = begin(balancer, drain_timeout=30)
    balancer.wait("app/web1", "DRAIN")
    balancer.reload()
    balancer.wait("app/web1", "DRAIN")
    # The process before the reload still has the request, and the new one counts no session.
    assert balancer.rows()["app/web1"]["scur"] == "0"
    time.sleep(0.5)
    assert run.running(), run.result()
    apps.web1.let_go.set()
    apps.web2.let_go.set()
    result = ok(run.result())
    assert all(request.result().startswith("200") for request in requests)
    assert any("reloaded" in note for note in result["notes"])
    assert any("drained again" in note for note in result["notes"])
    assert balancer.status("app/web1") == "MAINT"


def test_a_request_from_before_a_reload_that_was_before_the_drain_is_awaited(
    start: Callable[..., Haproxy], apps: SimpleNamespace
) -> None:
    balancer = start()
    requests = slow(balancer)
    balancer.reload()
    balancer.wait_up("app/web1", "app/web2")
    assert balancer.rows()["app/web1"]["scur"] == "0"
    refused = do(balancer, drain_timeout=1)
    assert refused["failed"] and "its older process" in refused["msg"], refused
    run = begin(balancer)
    time.sleep(1)
    assert run.running(), run.result()
    apps.web1.let_go.set()
    apps.web2.let_go.set()
    ok(run.result())
    assert all(request.result().startswith("200") for request in requests)


def test_a_server_that_keeps_coming_back_is_an_error(start: Callable[..., Haproxy]) -> None:
    balancer = start()
    slow(balancer)
    run = begin(balancer)
    for _turn in range(2):
        balancer.wait("app/web1", "DRAIN")
        balancer.ask("set server app/web1 state ready")
        time.sleep(0.3)
    result = run.result()
    assert result["failed"]
    assert "came back into rotation" in result["msg"]
    assert balancer.status("app/web1") == "UP"


# -- reading ------------------------------------------------------------------------------------


def test_info_shows_everything_and_judges_nothing(
    start: Callable[..., Haproxy], apps: SimpleNamespace
) -> None:
    balancer = start(STICKY)
    apps.web2.stop()
    balancer.wait("app/web2", "DOWN")
    assert get(balancer.port) == "200 web1"
    result = ok(
        Run(
            "haproxy_server_info", socket=balancer.socket(), backends=["app"], server="web1"
        ).result()
    )
    assert not result["changed"]
    assert result["level"] == "admin"
    assert result["available"]["app"] == {
        "up": [],
        "total": 2,
        "wanted": 1,
        "possible": True,
        "enough": False,
    }
    (backend,) = result["backends"]
    assert (backend["name"], backend["mode"], backend["sticky"]) == ("app", "http", "SRV")
    assert [row["server"] for row in backend["servers"]] == ["web1", "web2"]
    assert result["servers"][0]["counters"]["hrsp_2xx"] == 1
    assert result["node"]["version"].startswith("2") or result["node"]["version"].startswith("3")
    [totals] = result["totals"]
    assert (totals["backend"], totals["counters"]["req_tot"]) == ("app", 1)
    everything = ok(Run("haproxy_server_info", socket=balancer.socket()).result())
    assert "app" in [found["name"] for found in everything["backends"]]
    unknown = Run("haproxy_server_info", socket=balancer.socket(), server="web9").result()
    assert unknown["failed"]
    apps.web2.start()


def test_one_question_about_many_servers_is_answered_as_one_for_each(
    start: Callable[..., Haproxy], tmp_path: Path
) -> None:
    balancer = start()
    directory = str(tmp_path / "leases")
    ok(do(balancer, server="web1", lease=60, lease_directory=directory))
    given = {"socket": balancer.socket(), "backends": ["app"], "lease_directory": directory}
    told = ok(
        Run(
            "haproxy_server_info", **given, servers=["web1", "web2", "web9"], rows="server"
        ).result()
    )
    assert "'web9' is not in backend 'app'" in told["about"]["web9"]["msg"]
    assert set(told["about"]["web9"]) == {"msg"}
    assert told["backends"][0]["servers"] == []
    for name in ("web1", "web2"):
        alone = ok(Run("haproxy_server_info", **given, server=name, rows="server").result())
        about = told["about"][name]
        assert bool(about["lease"]) == bool(alone["lease"]) == (name == "web1")
        for key in ("notes", "hazards", "out_by_others"):
            assert about[key] == alone[key]
        seen = [
            [(row["status"], row["left_out"], row["address"]) for row in rows["servers"]]
            for rows in (about, alone)
        ]
        assert seen[0] == seen[1]
    ok(do(balancer, "ready", server="web1", lease_directory=directory))


def test_the_totals_have_the_errors_that_no_server_saw(
    start: Callable[..., Haproxy], apps: SimpleNamespace
) -> None:
    balancer = start()
    assert get(balancer.port).startswith("200")
    for app in (apps.web1, apps.web2):
        app.stop()
    balancer.wait("app/web1", "DOWN")
    balancer.wait("app/web2", "DOWN")
    for _turn in range(3):
        assert get(balancer.port).startswith("503")
    result = ok(Run("haproxy_server_info", socket=balancer.socket(), backends=["app"]).result())
    [totals] = result["totals"]
    counters = totals["counters"]
    assert (counters["req_tot"], counters["stot"]) == (4, 4)
    assert (counters["hrsp_2xx"], counters["hrsp_5xx"], counters["econ"]) == (1, 3, 3)
    assert sum(row["counters"]["hrsp_5xx"] for row in result["backends"][0]["servers"]) == 0
    assert result["node"]["pid"] == balancer.pid()
    apps.web1.start()
    apps.web2.start()
    balancer.wait_up("app/web1", "app/web2")
    balancer.reload()
    again = ok(Run("haproxy_server_info", socket=balancer.socket(), backends=["app"]).result())
    assert again["node"]["pid"] != result["node"]["pid"]
    assert again["totals"][0]["counters"]["req_tot"] == 0, "another process, another count"


# -- a share of its weight ----------------------------------------------------------------------


def weight(balancer: Haproxy) -> str:
    return balancer.ask("get weight app/web1").strip()


@pytest.mark.parametrize("balance", ["roundrobin", "leastconn", "random"])
def test_a_server_comes_back_with_a_share_and_gets_the_rest_later(
    start: Callable[..., Haproxy], balance: str
) -> None:
    balancer = start(WEIGHED.format(balance=balance))
    ok(do(balancer))
    result = ok(do(balancer, "ready", share=1))
    assert result["diff"]["after"] == {"app/web1": "ready, weight 1"}
    assert [result["servers"][0][key] for key in ("weight_set", "weight_full")] == [1, 100]
    assert weight(balancer) == "1 (initial 100)"
    if balance == "roundrobin":
        assert [get(balancer.port) for _turn in range(60)].count("200 web1") <= 3
    result = ok(do(balancer, "ready", share=50))
    assert result["changed"] and result["diff"]["before"] == {"app/web1": "ready, weight 1"}
    assert weight(balancer) == "50 (initial 100)"
    # Without a share nobody's weight is touched.
    ok(do(balancer))
    assert ok(do(balancer, "ready"))["servers"][0]["weight_set"] == 50
    assert ok(do(balancer, "ready", share=100))["changed"]
    assert weight(balancer) == "100 (initial 100)"
    assert not ok(do(balancer, "ready", share=100))["changed"]


def test_the_weight_is_set_before_the_first_request_comes(start: Callable[..., Haproxy]) -> None:
    balancer = start(WEIGHED.format(balance="roundrobin"))
    ok(do(balancer))
    over = threading.Event()
    seen: list[str] = []

    def ask() -> None:
        while not over.is_set():
            seen.append(get(balancer.port))

    client = threading.Thread(target=ask)
    client.start()
    ok(do(balancer, "ready", share=1))
    time.sleep(0.2)
    over.set()
    client.join()
    assert seen.count("200 web1") <= 1 + len(seen) // 50


def test_a_share_that_cannot_be_is_refused_before_anything_is_written(
    start: Callable[..., Haproxy],
) -> None:
    balancer = start()  # everybody has the weight 1
    ok(do(balancer))
    refused = do(balancer, "ready", share=10)
    assert refused["failed"] and "is less than 1, the smallest there is" in refused["msg"]
    assert balancer.status("app/web1") == "MAINT"
    ok(do(balancer, "ready", share=100))


def test_a_balance_without_weights_says_so(start: Callable[..., Haproxy]) -> None:
    balancer = start(WEIGHED.format(balance="static-rr"))
    ok(do(balancer))
    refused = do(balancer, "ready", share=10)
    assert refused["failed"] and "need `balance roundrobin`" in refused["msg"], refused["msg"]
    ok(do(balancer, "ready", share=100))


def test_a_configured_weight_of_0_has_no_shares_and_is_left_alone(
    start: Callable[..., Haproxy],
) -> None:
    none = CHECKED.replace("{web1} check", "{web1} check weight 0")
    balancer = start(none.replace("{web2} check", "{web2} check weight 100"))
    balancer.ask("set server app/web1 weight 30")
    ok(do(balancer))
    ok(do(balancer, "ready", share=100))
    assert weight(balancer) == "30 (initial 0)"
