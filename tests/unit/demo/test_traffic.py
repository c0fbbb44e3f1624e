# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The client counts what a server does to it, once, and never asks twice."""

import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from demo import traffic
from demo.traffic import Client, Outcome, Pace, Request, Tally

GOOD = b'HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n{"host": "web1"}'
KEPT = Request("keepalive", True, "/")
NEW = Request("new", False, "/")


class Server:
    """Answers each request as the next of its acts says, and counts what was asked."""

    def __init__(self, acts: list[Callable[[socket.socket], bool]]) -> None:
        self._acts = iter(acts)
        self.asked = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.netloc = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._idle = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection = self._listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with connection:
            kept = True
            while kept and connection.recv(65536):
                self.asked += 1
                kept = next(self._acts)(connection)
        self._idle.set()

    def wait_until_closed(self) -> None:
        assert self._idle.wait(10)

    def close(self) -> None:
        self._listener.close()


def good(connection: socket.socket) -> bool:
    connection.sendall(GOOD)
    return True


def good_then_close(connection: socket.socket) -> bool:
    connection.sendall(GOOD)
    return False


def close(connection: socket.socket) -> bool:
    return False


def reset(connection: socket.socket) -> bool:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return False


def error_500(connection: socket.socket) -> bool:
    connection.sendall(b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n")
    return True


def half(connection: socket.socket) -> bool:
    connection.sendall(GOOD[:-5])
    return False


def silent(connection: socket.socket) -> bool:
    time.sleep(1)
    return False


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    made: list[Server] = []

    def start(*acts: Callable[[socket.socket], bool]) -> Server:
        made.append(Server(list(acts)))
        return made[-1]

    yield start
    for server in made:
        server.close()


def client(server: Server, timeout: float = 10) -> Client:
    return Client(server.netloc, timeout, time.monotonic)


@pytest.mark.parametrize("wanted", [NEW, KEPT])
@pytest.mark.parametrize(
    ("act", "reason"),
    [
        (close, "RemoteDisconnected"),
        (reset, "ConnectionResetError"),
        (error_500, "500"),
        (half, "IncompleteRead"),
    ],
)
def test_what_a_server_does_is_one_loss_and_is_not_asked_again(
    serve: Callable[..., Server], wanted: Request, act: Callable[[socket.socket], bool], reason: str
) -> None:
    server = serve(act, good, good)
    outcome = client(server).send(wanted)
    assert outcome.lost and outcome.reason == reason
    assert server.asked == 1


def test_kept_connection_that_breaks_while_asked_is_a_loss(serve: Callable[..., Server]) -> None:
    server = serve(good, close, good)
    asking = client(server)
    assert not asking.send(KEPT).lost
    # http.client by itself, and most clients, would ask again here without a word.
    assert asking.send(KEPT).reason == "RemoteDisconnected"
    assert server.asked == 2
    assert not asking.send(KEPT).lost
    assert asking.replaced == 0


def test_kept_connection_that_was_closed_while_idle_is_replaced_first(
    serve: Callable[..., Server],
) -> None:
    server = serve(good_then_close, good)
    asking = client(server)
    assert not asking.send(KEPT).lost
    server.wait_until_closed()
    assert not asking.send(KEPT).lost
    assert server.asked == 2
    assert asking.replaced == 1


def test_slowness_beyond_the_limit_is_a_loss(serve: Callable[..., Server]) -> None:
    assert client(serve(silent), timeout=0.2).send(NEW).reason == "TimeoutError"


def test_refused_connection_is_a_loss() -> None:
    with socket.socket() as nobody_listens:
        nobody_listens.bind(("127.0.0.1", 0))
        asking = Client(f"127.0.0.1:{nobody_listens.getsockname()[1]}", 10, time.monotonic)
        assert asking.send(NEW).reason == "ConnectionRefusedError"


def test_answer_names_its_server(serve: Callable[..., Server]) -> None:
    assert client(serve(good)).send(NEW).host == "web1"
    assert traffic.served_by(b"ok") is traffic.served_by(b"[1]") is None
    assert traffic.served_by(b'{"host": 7}') is None


def test_requests_are_a_mix_that_does_not_follow_the_balancers_turns() -> None:
    asked = [traffic.request(slot) for slot in range(4000)]
    assert asked == [traffic.request(slot) for slot in range(4000)]
    share = {kind: sum(r.kind == kind for r in asked) / len(asked) for kind in traffic.KINDS}
    assert share == pytest.approx({"new": 0.45, "keepalive": 0.45, "slow": 0.1}, abs=0.03)
    assert {r.path for r in asked} == {"/", "/slow?s=2.0", "/slow?s=2.5", "/slow?s=3.0"}
    # With two servers in turn, both meet as many kept connections as new ones.
    for turn in (0, 1):
        kept = [r.kept for r in asked[turn::2]]
        assert sum(kept) / len(kept) == pytest.approx(0.5, abs=0.05)


def test_pace_is_steady_and_skips_what_came_too_late() -> None:
    pace = Pace(rate=10, start=100.0)
    assert [pace.take(now)[1] for now in [100.0] * 3] == pytest.approx([100.0, 100.1, 100.2])
    # Everybody was busy for 10 s: those requests are not sent all at once now.
    slot, due = pace.take(110.3)
    assert due == pytest.approx(110.3 - traffic.LATE, abs=0.11)
    assert pace.skipped == slot - 3 == pytest.approx(95, abs=1)


def test_tally_adds_up() -> None:
    tally = Tally(started=1.0)
    tally.add(Outcome(2.0, "new", 200, None, 0.1, "web1"))
    tally.add(Outcome(3.0, "new", 503, None, 0.2, None))
    tally.add(Outcome(4.0, "slow", None, "ConnectionResetError", 2.5, None))
    seen = tally.summary(5.0, True, 0, 0)
    assert (seen["sent"], seen["failed"]) == (3, 2)
    assert seen["kinds"]["new"] == {"sent": 2, "failed": 1}
    assert seen["kinds"]["keepalive"] == {"sent": 0, "failed": 0}
    assert seen["errors"] == {"503": 1, "ConnectionResetError": 1}
    assert seen["served_by"] == {"web1": 1}
    assert (seen["first_failed"], seen["last_failed"], seen["slowest"]) == (3.0, 4.0, 2.5)


def run(server: Server, out: Path, *options: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, traffic.__file__, f"http://{server.netloc}", "--out", str(out)]
    return subprocess.Popen([*command, "--slow-share", "0", *options], stdout=subprocess.PIPE)


def test_command_ends_at_its_time_and_writes_each_request(
    serve: Callable[..., Server], tmp_path: Path
) -> None:
    server = serve(*[good] * 1000)
    done = run(server, tmp_path / "t", "--seconds", "1", "--rate", "50", "--threads", "4")
    assert done.wait(30) == 0
    summary = json.loads((tmp_path / "t.json").read_text())
    lines = [json.loads(line) for line in (tmp_path / "t.jsonl").read_text().splitlines()]
    assert summary["finished"] and summary["failed"] == 0 and summary["in_flight"] == 0
    assert len(lines) == summary["sent"] == server.asked
    assert 20 <= summary["sent"] <= 52
    assert set(lines[0]) == {"time", "kind", "status", "error", "seconds", "host"}
    assert sorted(os.listdir(tmp_path)) == ["t.json", "t.jsonl"]


def test_command_ends_at_sigterm_and_says_that_something_was_lost(
    serve: Callable[..., Server], tmp_path: Path
) -> None:
    server = serve(*[good, error_500] * 1000)
    child = run(server, tmp_path / "t", "--seconds", "600")
    deadline = time.monotonic() + 30
    summary: dict[str, int] = {}
    while not summary.get("failed"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
        if (tmp_path / "t.json").exists():
            summary = json.loads((tmp_path / "t.json").read_text())
    child.send_signal(signal.SIGTERM)
    assert child.wait(30) == 1
    summary = json.loads((tmp_path / "t.json").read_text())
    assert summary["finished"] and summary["failed"] > 0
    assert len((tmp_path / "t.jsonl").read_text().splitlines()) == summary["sent"]


@pytest.mark.parametrize(
    "bad",
    [["https://x", "--out", "t"], ["http://x/path", "--out", "t"], ["http://x"]]
    + [["http://x", "--out", "t", option, "-1"] for option in ("--rate", "--seconds", "--timeout")],
)
def test_bad_usage_is_refused(bad: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        traffic.main(bad)
    assert refused.value.code == 2
    assert "error:" in capsys.readouterr().err
