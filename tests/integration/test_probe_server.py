# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Out of a balancer that only asks a health page, and back, under load."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from balancer_support import Request, haproxy_param, until
from nginx_support import Load
from probe_support import Bed, bed_of

pytestmark = haproxy_param(every=False)
LONG = 600.0


@pytest.fixture
def bed(tmp_path: Path, binary: str) -> Iterator[Bed]:
    with bed_of(tmp_path, binary) as made:
        yield made


def load_of(bed: Bed, **more: Any) -> Load:
    return Load(bed.haproxy.port, **more)


def restart(bed: Bed, down: float = 1.0) -> None:
    """What an upgrade does: the port is refused for a while."""
    bed.web1.stop()
    time.sleep(down)
    bed.web1.start()


def hold(bed: Bed) -> list[Request]:
    """Requests that do not end, on both servers."""
    found = [Request(bed.haproxy.port, "/slow") for _turn in range(4)]
    time.sleep(0.5)
    return found


def let_go(bed: Bed, requests: list[Request]) -> set[str]:
    bed.web1.let_go.set()
    bed.web2.let_go.set()
    return {each.result() for each in requests}


@pytest.mark.parametrize("keep", [False, True], ids=["new connections", "kept connections"])
def test_nobody_loses_a_request(bed: Bed, keep: bool) -> None:
    with load_of(bed, keep=keep) as load:
        time.sleep(0.5)
        out = bed.do()
        assert out["changed"] and out["servers"][0]["status"] == "MAINT"
        assert bed.haproxy.status("app/web1") == "DOWN"
        restart(bed)
        back = bed.do("ready")
        assert back["changed"] and back["servers"][0]["status"] == "UP"
        assert bed.haproxy.status("app/web1") == "UP"
        time.sleep(0.5)
    assert load.lost == []
    assert load.sent > 100 and load.by["web1"] > 10 and load.by["web2"] > 10
    assert not bed.web1.file.exists()
    assert not bed.do("ready")["changed"]


def test_without_the_drain_requests_are_lost(bed: Bed) -> None:
    """The negative control: made ill, and not waited for what the balancer makes of it."""
    with load_of(bed) as load:
        time.sleep(0.5)
        bed.web1.file.write_text("")
        restart(bed)
        time.sleep(0.2)
    assert load.lost


@pytest.mark.parametrize("settle", [0.0, 8.0], ids=["not settled", "settled"])
def test_short_requests_are_not_seen_and_settling_is_what_saves_them(
    tmp_path: Path, binary: str, settle: float
) -> None:
    """A balancer that needs long to believe that a server is ill, and requests that are over before
    a look sees them: quiet for a second is no proof that nobody comes."""
    with bed_of(tmp_path, binary, inter=2000) as bed:
        with load_of(bed, path="/quick", threads=2, rest=0.2) as load:
            time.sleep(0.5)
            bed.do(settle=settle)
            restart(bed, 1.5)
        assert bool(load.lost) == (settle == 0)


def test_a_request_in_flight_is_waited_for(bed: Bed) -> None:
    slow = hold(bed)
    run = bed.begin()
    time.sleep(4)
    assert run.running()
    assert "200 web1" in let_go(bed, slow)
    result = run.result()
    assert not result.get("failed"), result


@pytest.mark.parametrize("policy", ["restore", "force", "fail"])
def test_a_connection_that_never_ends_is_dealt_with_by_the_policy(bed: Bed, policy: str) -> None:
    slow = hold(bed)
    result = bed.begin(drain_timeout=2, on_timeout=policy, lease=LONG).result()
    if policy == "force":
        assert not result.get("failed"), result
        assert result["sessions_cut"] >= 1
    else:
        assert "connection(s) after" in result["msg"]
        assert result["left_drained"] == (policy == "fail")
    assert bed.web1.file.exists() == (policy != "restore")
    assert bool(bed.watchers()) == (policy != "restore")
    let_go(bed, slow)


def test_whom_nobody_waits_for_is_named(bed: Bed) -> None:
    slow = hold(bed)
    assert bed.do(drain_timeout=2, ignore=["127.0.0.0/8"])["sessions_cut"] == 0
    let_go(bed, slow)


def test_a_look_and_check_mode_change_nothing(bed: Bed) -> None:
    dry = bed.do(check_mode=True)
    assert dry["changed"] and dry["diff"]["after"] == {"app/web1": "maint"}
    seen = bed.info()
    assert seen["servers"][0]["status"] == "UP" and seen["available"]["app"]["up"] == ["web2"]
    assert any("not counted" in each for each in seen["hazards"])
    assert not bed.web1.file.exists() and not bed.leases.exists()


def test_what_somebody_else_has_made_ill_is_left_so(bed: Bed) -> None:
    bed.web1.file.write_text("the operator's")
    [other] = bed.info()["out_by_others"]
    assert other["undo"] == f"remove {bed.web1.file}"
    out = bed.do(lease=LONG)
    assert not out["changed"] and out["servers"][0]["left_out"]
    back = bed.do("ready")
    assert not back["changed"] and "is left so" in " ".join(back["notes"])
    assert bed.web1.file.read_text() == "the operator's"


def test_too_few_others_refuse_it_before_anything_is_done(bed: Bed) -> None:
    bed.web2.file.write_text("")
    text = bed.refused()
    assert "would be left with 0 server(s) UP" in text and "web2 is DOWN (HTTP 503" in text
    assert not bed.web1.file.exists()
    assert "would be left with 0" in bed.refused(others={"web2": ""})


def test_too_few_others_in_the_middle_put_it_back(bed: Bed) -> None:
    slow = hold(bed)
    run = bed.begin(lease=LONG)
    until(bed.web1.file.exists, "web1 is made ill")
    time.sleep(0.3)
    bed.web2.file.write_text("")
    text = str(run.result().get("msg"))
    assert "too few others were left" in text and "made well again" in text
    assert not bed.web1.file.exists() and not bed.watchers()
    let_go(bed, slow)


def test_two_at_once_never_take_out_more_than_may_be(bed: Bed) -> None:
    runs = [bed.begin(server=each, settle=3) for each in ("web1", "web2")]
    results = [run.result() for run in runs]
    assert any(each.get("failed") for each in results), results
    assert not (bed.web1.file.exists() and bed.web2.file.exists())


def test_a_page_that_does_not_look_at_it_is_found_out(bed: Bed) -> None:
    bed.web1.looks = False
    text = bed.refused(lease=LONG)
    assert "its health page still answers well after 10 s" in text and "made well again" in text
    assert not bed.web1.file.exists() and not bed.watchers()


def test_a_gate_that_would_ask_the_same_page_is_found_out(bed: Bed) -> None:
    text = bed.refused(gate_url=f"http://127.0.0.1:{bed.web1.port}/")
    assert "the page that gates ask fails too (HTTP 503)" in text
    assert not bed.web1.file.exists()
    bed.do(gate_url=f"http://127.0.0.1:{bed.web1.port}/quick")


def test_somebody_who_undoes_it_in_the_middle_is_right(bed: Bed) -> None:
    slow = hold(bed)
    run = bed.begin(lease=LONG)
    until(bed.web1.file.exists, "web1 is made ill")
    time.sleep(0.5)
    bed.web1.file.unlink()
    assert "somebody has undone it" in str(run.result().get("msg"))
    assert not bed.watchers()
    let_go(bed, slow)


def test_a_port_that_is_not_here_is_refused(bed: Bed) -> None:
    assert "nobody listens on port 9" in bed.refused(ports=["9"])
    assert not bed.web1.file.exists()


def test_a_balancers_own_page_is_waited_for(bed: Bed) -> None:
    page = {
        "page": f"http://127.0.0.1:{bed.status_port}/;csv",
        "page_out": r"(?m)^app,web1,.*,DOWN,",
        "page_in": r"(?m)^app,web1,.*,UP,",
        "ports": [],
    }
    with load_of(bed) as load:
        time.sleep(0.3)
        bed.do(settle=0, **page)
        assert bed.haproxy.status("app/web1") == "DOWN"
        time.sleep(0.2)
        restart(bed)
        bed.do("ready", settle_back=0, **page)
        assert bed.haproxy.status("app/web1") == "UP"
    assert load.lost == []
    text = bed.refused(drain_timeout=1, **{**page, "page_out": "never"})
    assert "does not match 'never'" in text and not bed.web1.file.exists()


def test_users_who_come_again_are_waited_for(bed: Bed) -> None:
    bed.do()
    text = bed.refused("ready", back_by="connections", up_timeout=1)
    assert "0 of 5 looks" in text or "looks have seen a connection" in text
    bed.do()
    with load_of(bed):
        bed.do("ready", back_by="connections")


def test_a_file_whose_absence_is_ill_is_put_aside_and_back(bed: Bed) -> None:
    bed.web1.means = "well"
    bed.web1.file.write_text("healthy")
    bed.web1.file.chmod(0o640)
    until(lambda: bed.haproxy.status("app/web1") == "UP", "it is up")
    with load_of(bed) as load:
        bed.do(file_means="well")
        assert not bed.web1.file.exists()
        restart(bed)
        bed.do("ready", file_means="well")
    assert load.lost == []
    assert bed.web1.file.read_text() == "healthy"
    assert bed.web1.file.stat().st_mode & 0o777 == 0o640
    assert len(list(bed.root.glob("web1.ill*"))) == 1
    bed.web1.file.unlink()
    assert bed.info(file_means="well")["out_by_others"]


def test_commands_do_it_and_undo_it(bed: Bed) -> None:
    file = str(bed.web1.file)
    commands = {
        "ill_command": ["touch", file],
        "well_command": ["rm", file],
        "state_command": ["test", "!", "-e", file],
    }
    with load_of(bed) as load:
        bed.do(lease=LONG, **commands)
        assert bed.web1.file.exists() and not bed.info(**commands)["out_by_others"]
        restart(bed)
        bed.do("ready", **commands)
    assert load.lost == [] and not bed.web1.file.exists()
    bed.web1.file.touch()
    assert bed.info(**commands)["out_by_others"]
    bed.do("ready", **commands)
    assert bed.web1.file.exists(), "what somebody else has done is not undone"
    bed.web1.file.unlink()
    text = bed.refused(ill_command=["false"], well_command=["true"])
    assert "`false` failed (exit 1)" in text and "made well again" in text
    text = bed.refused(ill_command=["no-such-program"], well_command=["true"])
    assert "There is no program 'no-such-program'" in text


# --- the lease -----------------------------------------------------------------------------------


def test_a_server_is_made_well_when_everybody_is_gone(bed: Bed) -> None:
    lease = bed.do(lease=3)["lease"]
    assert 0 < lease["seconds_left"] <= 3 and bed.info()["lease"]["pid"] == lease["pid"]
    until(lambda: not bed.web1.file.exists(), "it is made well")
    until(lambda: not bed.watchers(), "the watcher ends")
    assert "the lease ended: app: was in maint, restored and UP" in bed.story()
    bed.haproxy.wait_up("app/web1")


def test_a_run_that_is_killed_in_the_middle_of_a_drain_loses_nothing(bed: Bed) -> None:
    with load_of(bed) as load:
        slow = hold(bed)
        run = bed.begin(lease=3)
        until(bed.web1.file.exists, "web1 is made ill")
        assert bed.watchers(), "the watcher is there before the server is ill"
        os.kill(run._process.pid, signal.SIGKILL)
        until(lambda: not bed.web1.file.exists(), "it is made well")
        assert "200 web1" in let_go(bed, slow)
        bed.haproxy.wait_up("app/web1")
    assert load.lost == []


def test_a_command_that_is_killed_is_undone_by_its_lease(bed: Bed) -> None:
    file = str(bed.web1.file)
    commands = {"ill_command": ["touch", file], "well_command": ["rm", "-f", file]}
    slow = hold(bed)
    run = bed.begin(lease=2, **commands)
    until(bed.web1.file.exists, "web1 is made ill")
    os.kill(run._process.pid, signal.SIGKILL)
    until(lambda: not bed.web1.file.exists(), "it is made well")
    until(lambda: not bed.watchers(), "the watcher ends")
    let_go(bed, slow)


def test_ready_cancels_the_lease_and_a_hand_is_not_overruled(bed: Bed) -> None:
    bed.do(lease=LONG)
    assert bed.watchers()
    bed.web1.file.unlink()
    time.sleep(1.5)
    assert not bed.web1.file.exists()
    assert bed.do("ready")["lease"] is None and not bed.watchers()


def test_an_older_run_changes_nothing_any_more(bed: Bed) -> None:
    bed.do(turn=7, turn_by="the newer")
    assert "the newer" in bed.refused("ready", turn=6, turn_by="the older")
    assert bed.web1.file.exists()
    bed.do("ready", turn=7)
