# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lease on a drained server: it is put back by itself, with a real HAProxy."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from balancer_support import REPO, App, Haproxy, Relay, Request, Run, get, haproxy_param, until

pytestmark = haproxy_param(every=False)

BACKENDS = """
backend app
  option httpchk GET /
  server web1 127.0.0.1:{web1} check
  server web2 127.0.0.1:{web2} check
backend api
  option httpchk GET /
  server web1 127.0.0.1:{web1} check
  server web2 127.0.0.1:{web2} check
"""
LONG = 600.0


@pytest.fixture
def apps() -> Iterator[SimpleNamespace]:
    found = SimpleNamespace(web1=App("web1"), web2=App("web2"))
    yield found
    for app in (found.web1, found.web2):
        app.let_go.set()
        app.stop()


@pytest.fixture
def start(binary: str, apps: SimpleNamespace, tmp_path: Path) -> Iterator[Callable[..., Haproxy]]:
    started = []

    def go(up: bool = True) -> Haproxy:
        text = BACKENDS.format(web1=apps.web1.port, web2=apps.web2.port)
        started.append(Haproxy(binary, tmp_path, text))
        if up:
            started[-1].wait_up("app/web1", "app/web2", "api/web1", "api/web2")
        return started[-1]

    yield go
    for balancer in started:
        if balancer.process.poll() is None:
            balancer.stop()


@pytest.fixture
def leases(tmp_path: Path) -> Iterator[Path]:
    """The directory of the leases; whoever still watches at the end is ended."""
    directory = tmp_path / "leases"
    yield directory
    for pid in watchers(directory):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def watchers(directory: Path) -> list[int]:
    return [json.loads(file.read_text())["pid"] for file in directory.glob("*.json")]


def gone(pid: int) -> bool:
    """Ended; who has no init to bury it stays a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except FileNotFoundError:
        return True


def begin(balancer: Haproxy, leases: Path, state: str = "drained", **more: Any) -> Run:
    args: dict[str, Any] = {
        "socket": balancer.socket(),
        "backends": ["app"],
        "server": "web1",
        "state": state,
        "drain_timeout": 20,
        "up_timeout": 20,
        "lease_directory": str(leases),
        **more,
    }
    return Run("haproxy_server", **args)


def do(balancer: Haproxy, leases: Path, state: str = "drained", **more: Any) -> dict[str, Any]:
    result = begin(balancer, leases, state, **more).result()
    assert not result.get("failed"), result.get("msg")
    return result


def seen(balancer: Haproxy, leases: Path, server: str = "web1") -> Any:
    result = Run(
        "haproxy_server_info",
        socket=balancer.socket(),
        backends=["app"],
        server=server,
        lease_directory=str(leases),
    ).result()
    assert not result.get("failed"), result.get("msg")
    return result["lease"]


def story(leases: Path) -> str:
    log = leases / "lease.log"
    return log.read_text() if log.exists() else ""


def only_the_log(leases: Path) -> bool:
    """What a killed process was writing, the next one to write sweeps away."""
    names = [file.name for file in leases.iterdir() if not file.name.startswith(".tmp-")]
    return names == ["lease.log"]


def test_a_server_comes_back_when_everybody_is_gone(
    start: Callable[[], Haproxy], leases: Path
) -> None:
    balancer = start()
    began = time.time()
    result = do(balancer, leases, backends=["app", "api"], lease=3)
    assert result["changed"]
    lease = result["lease"]
    assert 0 < lease["seconds_left"] <= 3
    assert abs(lease["until"] - result["drained_at"] - 3) < 2
    assert not gone(lease["pid"])
    # Nothing of the module or of a terminal is left in it.
    assert os.getsid(lease["pid"]) != os.getsid(0)
    assert os.readlink(f"/proc/{lease['pid']}/cwd") == "/"
    opened = {os.readlink(f.path) for f in os.scandir(f"/proc/{lease['pid']}/fd")}
    assert opened == {"/dev/null"}
    assert "Umask:\t0077" in Path(f"/proc/{lease['pid']}/status").read_text()
    assert leases.stat().st_mode & 0o777 == 0o700

    assert balancer.status("app/web1") == balancer.status("api/web1") == "MAINT"
    balancer.wait_up("app/web1", "api/web1")
    assert time.time() >= began + 3, "not before its time"
    until(lambda: gone(lease["pid"]), "the watcher ends")
    assert only_the_log(leases)
    assert "web1" in story(leases) and "app: was in maint, restored and UP" in story(leases)
    assert "api: was in maint, restored and UP" in story(leases)
    assert seen(balancer, leases) is None


def test_every_further_drained_renews_it(start: Callable[[], Haproxy], leases: Path) -> None:
    balancer = start()
    first = do(balancer, leases, lease=6)["lease"]
    again = do(balancer, leases, lease=LONG)
    assert not again["changed"]
    assert again["lease"]["pid"] == first["pid"], "one watcher, not one for each call"
    assert again["lease"]["seconds_left"] > LONG - 60
    until(lambda: time.time() > first["until"] + 2, "the first end is past")
    assert balancer.status("app/web1") == "MAINT"
    assert seen(balancer, leases)["pid"] == first["pid"]
    # Without a lease of its own a drain leaves the one that there is.
    assert do(balancer, leases)["lease"]["pid"] == first["pid"]
    # And a shorter one is obeyed as well.
    do(balancer, leases, lease=1)
    balancer.wait_up("app/web1")


def test_ready_cancels_it_and_leaves_nobody(start: Callable[[], Haproxy], leases: Path) -> None:
    balancer = start()
    lease = do(balancer, leases, lease=LONG)["lease"]
    result = do(balancer, leases, "ready")
    assert result["lease"] is None
    assert gone(lease["pid"])
    assert list(leases.iterdir()) == []
    assert not do(balancer, leases, "ready")["changed"]


def test_ready_in_one_backend_keeps_the_promise_for_the_other(
    start: Callable[[], Haproxy], leases: Path
) -> None:
    balancer = start()
    lease = do(balancer, leases, backends=["app", "api"], lease=3)["lease"]
    assert do(balancer, leases, "ready")["lease"] is None
    assert watchers(leases) == [lease["pid"]]
    balancer.wait_up("api/web1")


def test_two_applications_with_one_name_of_a_server_hold_what_is_theirs(
    start: Callable[[], Haproxy], leases: Path
) -> None:
    balancer = start()
    do(balancer, leases, backends=["app"], lease=LONG)
    do(balancer, leases, backends=["api"], lease=LONG)
    assert len(watchers(leases)) == 2
    balancer.reload()
    until(
        lambda: balancer.status("app/web1") == balancer.status("api/web1") == "MAINT",
        "both are out again",
    )
    do(balancer, leases, "ready", backends=["api"])
    assert balancer.status("app/web1") == "MAINT"
    assert seen(balancer, leases)["seconds_left"] > LONG / 2
    do(balancer, leases, "ready", backends=["app"])
    assert not watchers(leases)


def test_an_operators_maint_is_not_lifted_at_the_end_of_a_lease(
    start: Callable[[], Haproxy], leases: Path
) -> None:
    balancer = start()
    balancer.ask("set server app/web1 state maint")
    do(balancer, leases, backends=["app", "api"], lease=1)
    balancer.wait_up("api/web1")
    until(lambda: not watchers(leases), "the lease ends")
    assert balancer.status("app/web1") == "MAINT"
    assert "app: was in maint already, nothing to do" in story(leases)
    # Nor by who comes later and puts back what was taken out.
    do(balancer, leases, "ready", backends=["app", "api"])
    assert balancer.status("app/web1") == "MAINT"


def test_the_module_is_killed_right_after_the_drain(
    start: Callable[[], Haproxy], leases: Path, apps: SimpleNamespace
) -> None:
    balancer = start()
    slow(balancer)
    run = begin(balancer, leases, lease=3)
    balancer.wait("app/web1", "DRAIN")
    assert watchers(leases), "the watcher is there before the drain is"
    os.kill(run._process.pid, signal.SIGKILL)
    balancer.wait_up("app/web1")
    until(lambda: only_the_log(leases), "the watcher clears up")


def test_a_drain_that_lasts_longer_than_the_lease_keeps_it(
    start: Callable[[], Haproxy], leases: Path, apps: SimpleNamespace
) -> None:
    balancer = start()
    slow(balancer)
    run = begin(balancer, leases, lease=3)
    balancer.wait("app/web1", "DRAIN")
    end = time.monotonic() + 6
    while time.monotonic() < end:
        assert balancer.status("app/web1") == "DRAIN"
        assert run.running()
        time.sleep(0.05)
    apps.web1.let_go.set()
    apps.web2.let_go.set()
    assert run.result()["lease"]["seconds_left"] > 0
    balancer.wait_up("app/web1")


def test_a_watcher_that_was_killed_is_replaced(start: Callable[[], Haproxy], leases: Path) -> None:
    balancer = start()
    first = do(balancer, leases, lease=LONG)["lease"]
    os.kill(first["pid"], signal.SIGKILL)
    until(lambda: gone(first["pid"]), "it is dead")
    assert seen(balancer, leases)["pid"] is None, "nobody watches, and that can be seen"
    result = do(balancer, leases, lease=2)
    assert not result["changed"]
    assert result["lease"]["pid"] not in (None, first["pid"])
    assert any("was gone" in note for note in result["notes"])
    balancer.wait_up("app/web1")
    until(lambda: only_the_log(leases), "the new one clears up")


def test_a_watcher_that_is_stopped_is_replaced(start: Callable[[], Haproxy], leases: Path) -> None:
    balancer = start()
    first = do(balancer, leases, lease=LONG)["lease"]
    os.kill(first["pid"], signal.SIGSTOP)
    until(lambda: seen(balancer, leases)["pid"] is None, "it is stopped")
    do(balancer, leases, lease=2)
    until(lambda: gone(first["pid"]), "it does not wake up next week")
    balancer.wait_up("app/web1")


def test_two_servers_at_once(start: Callable[[], Haproxy], leases: Path) -> None:
    balancer = start()
    runs = [
        begin(balancer, leases, server=server, lease=lease, min_available="0")
        for server, lease in (("web1", LONG), ("web2", 4))
    ]
    results = [run.result() for run in runs]
    assert not [result["msg"] for result in results if result.get("failed")]
    assert results[0]["lease"]["pid"] != results[1]["lease"]["pid"]
    balancer.wait_up("app/web2")
    assert balancer.status("app/web1") == "MAINT"
    until(lambda: len(watchers(leases)) == 1, "one lease is left")
    assert do(balancer, leases, "ready")["lease"] is None


@pytest.mark.parametrize("how", ["reload", "restart"])
def test_a_haproxy_that_was_started_anew_is_told_again(
    start: Callable[..., Haproxy], leases: Path, how: str
) -> None:
    balancer = start()
    lease = do(balancer, leases, backends=["app", "api"], lease=8)["lease"]
    if how == "reload":
        balancer.reload()
    else:
        balancer.stop()
        balancer = start(up=False)
    until(
        lambda: balancer.status("app/web1") == balancer.status("api/web1") == "MAINT",
        "it is drained again",
    )
    assert {get(balancer.port) for _turn in range(6)} == {"200 web2"}
    # It tells after it has done it.
    told = f"HAProxy was started anew (pid {balancer.pid()})"
    until(lambda: told in story(leases), "it is told")
    assert not gone(lease["pid"]) and seen(balancer, leases)["pid"] == lease["pid"]
    balancer.wait_up("app/web1", "api/web1")
    until(lambda: gone(lease["pid"]), "the watcher ends")
    assert "the lease ended: app: was in maint, restored and UP" in story(leases)
    assert only_the_log(leases)


def test_an_operator_who_sets_it_ready_is_right_also_after_a_reload(
    start: Callable[[], Haproxy], leases: Path, tmp_path: Path
) -> None:
    balancer = start()
    relay = Relay(tmp_path, balancer.socket())

    def looks(number: int) -> None:
        before = relay.asked
        until(lambda: relay.asked >= before + number, "the watcher looks")

    try:
        do(balancer, leases, lease=LONG, socket=relay.path)
        balancer.ask("set server app/web1 state ready")
        balancer.wait_up("app/web1")
        looks(4)
        assert balancer.status("app/web1") == "UP"
        balancer.reload()
        balancer.wait_up("app/web1", "app/web2")
        looks(4)
        assert balancer.status("app/web1") == "UP"
        assert not (leases / "lease.log").exists()
        do(balancer, leases, "ready", socket=relay.path)
    finally:
        relay.close()


def test_where_too_few_others_are_up_it_stays_in_and_that_is_told(
    start: Callable[[], Haproxy], leases: Path, apps: SimpleNamespace
) -> None:
    balancer = start()
    do(balancer, leases, lease=LONG)
    apps.web2.stop()
    balancer.wait("app/web2", "DOWN")
    balancer.reload()
    until(
        lambda: (
            (leases / "lease.log").exists()
            and "NOT TAKEN OUT AGAIN YET: app: web1 was not drained" in story(leases)
        ),
        "the watcher tells",
    )
    assert balancer.status("app/web1").startswith("UP")
    assert get(balancer.port) == "200 web1"
    apps.web2.start()
    balancer.wait("app/web1", "MAINT")
    assert get(balancer.port) == "200 web2"
    do(balancer, leases, "ready")


def test_ready_after_a_reload_is_not_taken_back(start: Callable[[], Haproxy], leases: Path) -> None:
    balancer = start()
    for _turn in range(5):
        do(balancer, leases, lease=LONG)
        balancer.reload()
        # The watcher and this one come at the same time, and this one is right.
        do(balancer, leases, "ready")
        assert watchers(leases) == []
        assert balancer.status("app/web1") == "UP"


def test_a_wedged_socket_neither_ends_the_watch_nor_makes_it_late(
    start: Callable[[], Haproxy], leases: Path, tmp_path: Path
) -> None:
    balancer = start()
    relay = Relay(tmp_path, balancer.socket())
    try:
        lease = do(balancer, leases, socket=relay.path, lease=12, socket_timeout=2)["lease"]
        relay.wedged, relay.asked = True, 0
        balancer.reload()
        until(lambda: relay.asked >= 2, "the watcher asks")
        relay.wedged = False
        balancer.wait("app/web1", "MAINT")
        relay.wedged, relay.asked = True, 0
        until(lambda: "cannot be restored yet" in story(leases), "the lease ends")
        assert relay.asked < 15, "connections pile up where nobody takes them"
        relay.wedged = False
        balancer.wait_up("app/web1")
        until(lambda: gone(lease["pid"]), "the watcher ends")
        assert only_the_log(leases)
    finally:
        relay.close()


def test_a_balancer_that_is_away_at_the_end_is_asked_again(
    start: Callable[[], Haproxy], leases: Path
) -> None:
    balancer = start()
    worker = balancer.pid()
    do(balancer, leases, lease=2, socket_timeout=1)
    os.kill(worker, signal.SIGSTOP)
    try:
        until(
            lambda: "cannot be restored yet" in story(leases),
            "the watcher meets it",
        )
    finally:
        os.kill(worker, signal.SIGCONT)
    balancer.wait_up("app/web1")
    until(lambda: only_the_log(leases), "the watcher clears up")


def test_out_of_maint_no_user_meets_a_dead_server(
    start: Callable[[], Haproxy], leases: Path, apps: SimpleNamespace
) -> None:
    balancer = start()
    do(balancer, leases, lease=2)
    apps.web1.stop()
    until(lambda: leases.exists() and only_the_log(leases), "the lease ends")
    assert balancer.status("app/web1") == "DOWN"
    assert "app: was in maint, restored; web1 is set ready" in story(leases)
    assert {get(balancer.port) for _turn in range(6)} == {"200 web2"}
    assert balancer.rows()["app/web1"]["econ"] == "0"
    apps.web1.start()
    balancer.wait_up("app/web1")


def test_a_drain_that_fails_leaves_a_lease_only_on_what_it_leaves_drained(
    start: Callable[[], Haproxy], leases: Path
) -> None:
    balancer = start()
    slow(balancer)
    result = begin(balancer, leases, lease=LONG, drain_timeout=0.5).result()
    assert result["failed"] and "put back" in result["msg"]
    assert result["lease"] is None
    assert list(leases.iterdir()) == []
    assert balancer.status("app/web1") == "UP"

    result = begin(balancer, leases, lease=LONG, drain_timeout=0.5, on_timeout="fail").result()
    assert result["failed"] and result["left_drained"]
    assert result["lease"]["pid"]
    # It was drained before: what fails now does not take its lease away.
    result = begin(balancer, leases, lease=LONG, drain_timeout=0.5).result()
    assert result["failed"] and "left as it was" in result["msg"]
    assert result["lease"]["pid"]
    do(balancer, leases, "ready")


def test_through_ansible_which_removes_what_it_copied(
    start: Callable[[], Haproxy], leases: Path, tmp_path: Path
) -> None:
    balancer = start()

    def through_ansible(lease: float) -> None:
        words = (
            f"socket={balancer.socket()} backends=app,api server=web1 state=drained"
            f" lease={lease} lease_directory={leases}"
        )
        command = [Path(sys.executable).parent / "ansible", "localhost", "-c", "local", "-m"]
        subprocess.run(
            [*command, "fleetops.gunicorn.haproxy_server", "-a", words],
            env={
                **os.environ,
                "ANSIBLE_COLLECTIONS_PATH": str(REPO / ".collections"),
                "ANSIBLE_HOME": str(tmp_path / "home"),
                "ANSIBLE_REMOTE_TEMP": str(tmp_path / "remote"),
                "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            # Far less than the lease: nothing of it keeps the connection open.
            timeout=LONG / 4,
            check=True,
        )
        assert balancer.status("app/web1") == "MAINT"

    through_ansible(LONG)
    [pid] = watchers(leases)
    # From here on a class or codec that was not imported yet cannot be any more.
    assert not list((tmp_path / "remote").glob("*"))
    assert Path(f"/proc/{pid}/comm").read_text() == "fleetops-lease\n"
    worker = balancer.pid()
    through_ansible(3)
    os.kill(worker, signal.SIGSTOP)
    try:
        until((leases / "lease.log").exists, "the watcher meets a wedged balancer")
    finally:
        os.kill(worker, signal.SIGCONT)
    balancer.wait_up("app/web1", "api/web1")
    until(lambda: only_the_log(leases), "it clears up")
    assert "app: was in maint, restored and UP; api: was in maint" in story(leases)


@pytest.mark.parametrize("how", ["symlink", "open", "file", "no parent"])
def test_a_directory_that_others_could_reach_is_refused_before_the_drain(
    start: Callable[[], Haproxy], leases: Path, tmp_path: Path, how: str
) -> None:
    balancer = start()
    if how == "symlink":
        (tmp_path / "elsewhere").mkdir(mode=0o700)
        leases.symlink_to(tmp_path / "elsewhere")
    elif how == "open":
        leases.mkdir()
        leases.chmod(0o755)
    elif how == "file":
        leases.write_text("")
    wanted = leases / "deep" / "deeper" if how == "no parent" else leases
    result = begin(balancer, wanted, lease=5).result()
    assert result["failed"]
    assert "could not be taken" in result["msg"] and "left as it was" in result["msg"]
    assert {"symlink": "not followed", "open": "0755", "file": "no directory"}.get(
        how, "is not there"
    ) in result["msg"]
    assert not result["changed"]
    assert balancer.status("app/web1") == "UP"
    if how == "symlink":
        assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_a_directory_of_another_user_is_refused(start: Callable[[], Haproxy], leases: Path) -> None:
    balancer = start()
    leases.mkdir(mode=0o700)
    os.chown(leases, 12345, 12345)
    result = begin(balancer, leases, lease=5).result()
    assert result["failed"] and "belongs to uid 12345" in result["msg"]
    assert balancer.status("app/web1") == "UP"
    # Ready is not refused for it: the server is what counts.
    result = do(balancer, leases, "ready")
    assert any("could not be cancelled" in note for note in result["notes"])


@pytest.mark.parametrize(
    "content", ["", '{"schema": 1, "tok', '{"schema": 99, "token": "x"}', "[]"]
)
def test_a_lease_file_that_cannot_be_believed_is_not(
    start: Callable[[], Haproxy], leases: Path, content: str
) -> None:
    balancer = start()
    do(balancer, leases, lease=LONG)
    [pid] = watchers(leases)
    [file] = leases.glob("*.json")
    file.write_text(content)
    assert seen(balancer, leases) is None
    result = do(balancer, leases, lease=2)
    assert any("could not be believed" in note for note in result["notes"])
    balancer.wait_up("app/web1")
    until(lambda: gone(pid), "the watcher before finds another's lease")
    until(lambda: only_the_log(leases), "nothing is left")


def test_the_watcher_must_be_able_to_write(start: Callable[[], Haproxy], leases: Path) -> None:
    balancer = start()
    do(balancer, leases, lease=LONG)
    # Drained already, so that the module itself has nothing to write.
    refused = begin(balancer, leases, lease=5, socket=balancer.socket("user")).result()
    assert refused["failed"] and "level 'user'" in refused["msg"]
    result = do(balancer, leases, "ready", socket="unix://" + balancer.socket())
    assert result["lease"] is None and not watchers(leases), "both spellings are one socket"


def test_check_mode_starts_nothing(start: Callable[[], Haproxy], leases: Path) -> None:
    balancer = start()
    result = do(balancer, leases, lease=5, check_mode=True)
    assert result["changed"]
    assert result["lease"] is None
    assert not leases.exists()
    do(balancer, leases, lease=LONG)
    [pid] = watchers(leases)
    planned = do(balancer, leases, "ready", check_mode=True)
    assert planned["lease"]["pid"] == pid
    assert not gone(pid)
    do(balancer, leases, "ready")


def slow(balancer: Haproxy) -> None:
    """A request in flight on web1."""

    def arrived() -> bool:
        if int(balancer.rows()["app/web1"]["scur"]) > 0:
            return True
        Request(balancer.port, "/slow")
        time.sleep(0.1)
        return int(balancer.rows()["app/web1"]["scur"]) > 0

    until(arrived, "a request is in flight on web1")
