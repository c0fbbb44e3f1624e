# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A real nginx in harder circumstances: websockets, Unix sockets, failed reloads, its log."""

from __future__ import annotations

import gzip
import os
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from balancer_support import Request, Run, free_port, get, until
from nginx_support import Bed, Load, apps, needs_nginx

pytestmark = needs_nginx


@pytest.fixture
def bed(tmp_path: Path) -> Iterator[Bed]:
    with apps("web1", "web2") as servers:
        made = Bed(tmp_path, servers)
        try:
            yield made
        finally:
            made.nginx.stop()


class Echo:
    """A server that upgrades to a websocket and sends back what comes; answers 200 otherwise."""

    def __init__(self, path: str = "") -> None:
        self.port = 0 if path else free_port()
        self._listener = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
        if not path:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(path or ("127.0.0.1", self.port))
        self._listener.listen(64)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                link = self._listener.accept()[0]
                threading.Thread(target=self._talk, args=(link,), daemon=True).start()

    def _talk(self, link: socket.socket) -> None:
        with link, suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head:
                piece = link.recv(4096)
                if not piece:
                    return
                head += piece
            if b"upgrade: websocket" not in head.lower():
                link.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
                return
            link.sendall(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                b"Connection: upgrade\r\n\r\n"
            )
            while piece := link.recv(4096):
                link.sendall(piece)

    def close(self) -> None:
        self._listener.close()


def websocket(port: int) -> socket.socket:
    link = socket.create_connection(("127.0.0.1", port), 10)
    link.sendall(
        b"GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n"
    )
    assert b"101" in link.recv(4096)
    return link


def alive(link: socket.socket) -> bool:
    link.sendall(b"ping")
    return link.recv(4096) == b"ping"


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_a_websocket_is_waited_for_and_is_not_cut(bed: Bed, tmp_path: Path, kind: str) -> None:
    path = str(tmp_path / "w.sock") if kind == "unix" else ""
    echo = Echo(path)
    name = f"unix:{path}" if path else f"127.0.0.1:{echo.port}"
    # Only a backup beside it: so the websocket is sure to be there, and then somebody else is.
    file = bed.nginx.site("app", name, f"{bed.at2} down")
    bed.nginx.start()
    link = websocket(bed.nginx.ports["app"])
    bed.nginx.site("app", name, bed.at2)
    bed.nginx.reload()
    text = bed.refused(server=name, drain_timeout=2)
    assert "still had 1 connection(s)" in text and "put back as it was" in text
    assert alive(link) and " down;" not in file.read_text()
    run = bed.begin(server=name)
    until(lambda: " down;" in file.read_text(), "it is out")
    time.sleep(1.5)
    assert run.running() and alive(link)
    link.close()
    result = run.result()
    assert not result.get("failed"), result
    assert {get(bed.nginx.ports["app"]) for _turn in range(4)} == {"200 web2"}
    echo.close()


def test_an_old_worker_with_a_websocket_elsewhere_is_left_to_itself(bed: Bed) -> None:
    """It has nothing to do with the server; after ten seconds of calm nobody waits for it."""
    echo = Echo()
    bed.nginx.site("app", bed.at1, bed.at2)
    bed.nginx.site("ws", f"127.0.0.1:{echo.port}")
    bed.nginx.start()
    link = websocket(bed.nginx.ports["ws"])
    began = time.monotonic()
    result = bed.do(drain_timeout=40)
    assert 10 <= time.monotonic() - began < 30
    assert any("was not waited for any longer" in note for note in result["notes"])
    assert alive(link)
    link.close()
    echo.close()


def test_a_reload_that_nginx_does_not_take_is_found_in_its_log(bed: Bed) -> None:
    """What `nginx -t` would have told, had it been asked; and what it does not see alike."""
    file = bed.nginx.site("app", bed.at1, bed.at2)
    bed.nginx.start()
    before, workers = file.read_text(), bed.nginx.workers()
    shutil.rmtree(bed.nginx.root / "temp")
    (bed.nginx.root / "temp").write_text("no directory")
    text = bed.refused(test_command="/bin/true")
    assert "did not take the new configuration" in text and "mkdir() " in text
    assert "files are as they were" in text
    assert file.read_text() == before and bed.nginx.workers() == workers
    assert bed.status() == "UP" and "not what runs" not in " ".join(bed.info()["hazards"])
    # nginx' own test finds it before anything is reloaded.
    text = bed.refused()
    assert "refuses the configuration" in text and file.read_text() == before
    (bed.nginx.root / "temp").unlink()
    (bed.nginx.root / "temp").mkdir()
    bed.do()
    assert bed.status() == "MAINT"


def test_a_run_that_is_killed_between_the_file_and_the_reload_is_finished_by_the_next(
    bed: Bed,
) -> None:
    file = bed.nginx.site("app", bed.at1, bed.at2)
    bed.nginx.start()
    before = file.read_text()
    run = bed.begin(test_command="/bin/sh -c 'sleep 60'")
    until(lambda: " down;" in file.read_text(), "it is written")
    os.kill(run._process.pid, 9)
    assert bed.status() == "UP", "what runs has it in rotation"
    out = bed.do()
    assert out["servers"][0]["status"] == "MAINT"
    bed.do("ready")
    assert file.read_text() == before


@pytest.mark.parametrize("how", ["restart", "a worker dies", "another reload"])
def test_nginx_that_has_other_workers_in_the_middle_of_a_drain(bed: Bed, how: str) -> None:
    file = bed.nginx.site("app", bed.at1, bed.at2)
    bed.nginx.start()
    slow = [Request(bed.nginx.ports["app"], "/slow") for _turn in range(4)]
    time.sleep(0.5)
    run = bed.begin()
    until(lambda: " down;" in file.read_text(), "it is out")
    time.sleep(1)
    assert run.running()
    if how == "restart":
        bed.nginx.stop()
        bed.nginx.start()
    elif how == "another reload":
        bed.nginx.reload()
    else:
        os.kill(min(bed.nginx.workers()), 9)
    time.sleep(1)
    bed.web1.let_go.set()
    bed.web2.let_go.set()
    result = run.result()
    assert not result.get("failed"), result
    assert result["servers"][0]["status"] == "MAINT"
    assert not [note for note in result["notes"] if "rewrote" in note]
    assert {get(bed.nginx.ports["app"]) for _turn in range(6)} == {"200 web2"}
    assert bed.status() == "MAINT"
    del slow


def counters(bed: Bed, **more: Any) -> tuple[dict[str, int], dict[str, int]]:
    found = bed.info(**more)
    mine = {row["server"]: row["counters"] for row in found["backends"][0]["servers"]}
    assert not [text for text in found["hazards"] if "is not counted" in text]
    return mine[bed.at1], found["totals"][0]["counters"]


def test_each_request_is_counted_once_over_rotations(bed: Bed) -> None:
    bed.nginx.site("app", bed.at1, bed.at2)
    bed.nginx.start()
    log = bed.nginx.root / "access.log"
    get(bed.nginx.ports["app"])
    assert counters(bed)[1]["req_tot"] == 0, "counting begins now"
    for _turn in range(10):
        get(bed.nginx.ports["app"])
    mine, all_of_them = counters(bed)
    assert all_of_them["req_tot"] == all_of_them["hrsp_2xx"] == 10
    assert 0 < mine["stot"] < 10 and mine["rtime_count"] == mine["stot"]
    # logrotate, and what came before and after it.
    get(bed.nginx.ports["app"])
    log.rename(log.with_name("access.log.1"))
    assert bed.nginx.process
    os.kill(bed.nginx.process.pid, 10)  # USR1: open the logs anew
    until(log.exists, "nginx opens its log anew")
    get(bed.nginx.ports["app"])
    assert counters(bed)[1]["req_tot"] == 12
    assert counters(bed)[1]["req_tot"] == 12, "once"
    with gzip.open(log.with_name("access.log.2.gz"), "wb") as packed:
        packed.write(log.with_name("access.log.1").read_bytes())
    log.with_name("access.log.1").unlink()
    assert counters(bed)[1]["req_tot"] == 12
    # A drain is a reload, and counting goes on.
    bed.do()
    get(bed.nginx.ports["app"])
    mine, all_of_them = counters(bed)
    assert all_of_them["req_tot"] == 13
    bed.do("ready")
    bed.web1.stop()
    for _turn in range(6):
        get(bed.nginx.ports["app"])
    broken, after = counters(bed)
    assert broken["econ"] > mine["econ"] and after["wretr"] > 0 and after["hrsp_5xx"] == 0
    bed.web1.start()


def test_a_log_that_cannot_be_counted_is_told_with_what_would_help(bed: Bed) -> None:
    bed.nginx.site("app", bed.at1, bed.at2, location="access_log off;")
    bed.nginx.start()
    [text] = [text for text in bed.info()["hazards"] if "is not counted" in text]
    assert "no access_log has its requests" in text and "$upstream_response_time" in text
    assert bed.info()["servers"][0]["counters"] == {}
    bed.nginx.site("app", bed.at1, bed.at2, location=f"access_log {bed.nginx.root}/plain.log;")
    bed.nginx.reload()
    [text] = [text for text in bed.info()["hazards"] if "is not counted" in text]
    assert "lacks $upstream_addr" in text


def test_who_answers_with_an_error_is_not_up(bed: Bed) -> None:
    bed.nginx.site("app", bed.at1, bed.at2)
    bed.nginx.start()
    assert bed.info()["available"]["app"] == {
        "up": [bed.at2],
        "total": 2,
        "wanted": 1,
        "possible": True,
        "enough": True,
    }
    ill = bed.info(probe="/ill")
    assert ill["servers"][0]["status"] == "DOWN" and "HTTP 503" in ill["servers"][0]["check"]
    assert ill["available"]["app"]["up"] == []
    assert bed.info(probe="/ill", probe_status=[503])["servers"][0]["status"] == "UP"
    bed.web2.stop()
    down = bed.info(server=bed.at2)["servers"][0]
    assert down["status"] == "DOWN" and "refused" in down["check"]
    assert bed.info()["available"]["app"]["enough"] is False
    assert bed.info(probe="")["servers"][0]["status"] == "no check"
    bed.web2.start()


def test_one_question_about_several(bed: Bed) -> None:
    bed.nginx.site("app", bed.at1, bed.at2)
    bed.nginx.start()
    found = bed.info(server="", servers=[bed.at1, bed.at2, "10.9.9.9:1"], rows="server")
    assert found["about"][bed.at1]["servers"][0]["status"] == "UP"
    assert "10.9.9.9:1" in found["about"]["10.9.9.9:1"]["msg"]


def test_a_server_that_another_upstream_has_too_is_told(bed: Bed) -> None:
    bed.nginx.site("app", bed.at1, bed.at2)
    bed.nginx.site("api", bed.at1)
    bed.nginx.start()
    told = " ".join(bed.info()["hazards"])
    assert f"api/{bed.at1}" in told and "load_balancer_backends" in told


def test_requests_are_not_lost_with_a_unix_socket_under_load(bed: Bed, tmp_path: Path) -> None:
    path = str(tmp_path / "u.sock")
    echo = Echo(path)
    bed.nginx.site("app", f"unix:{path}", bed.at2)
    bed.nginx.start()
    with Load(bed.nginx.ports["app"], path="/") as load:
        time.sleep(0.5)
        bed.do(server=f"unix:{path}")
        echo.close()
        os.unlink(path)
        time.sleep(0.3)
        echo = Echo(path)
        bed.do("ready", server=f"unix:{path}")
        time.sleep(0.3)
    assert load.lost == [] and load.by.get("ok", 0) > 10
    echo.close()
    assert not Run("nginx_server_info", **bed.nginx.reach(bed.leases)).result().get("failed")
