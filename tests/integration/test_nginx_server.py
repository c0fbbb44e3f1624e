# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Out of a real nginx and back, under load."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from balancer_support import Request, get, until
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


def hold(bed: Bed) -> list[Request]:
    """Requests that do not end; each worker begins with web1."""
    found = [Request(bed.nginx.ports["app"], "/slow") for _turn in range(4)]
    time.sleep(0.5)
    return found


def let_go(bed: Bed, requests: list[Request]) -> set[str]:
    """What they all came to."""
    bed.web1.let_go.set()
    bed.web2.let_go.set()
    found = {each.result() for each in requests}
    assert found <= {"200 web1", "200 web2"}
    return found


@pytest.mark.parametrize("keep", [False, True], ids=["new connections", "kept connections"])
def test_nobody_loses_a_request(bed: Bed, keep: bool) -> None:
    file = bed.nginx.site("app", bed.at1, bed.at2, top="keepalive 8;")
    bed.nginx.start()
    before = file.read_text()
    with Load(bed.nginx.ports["app"], keep=keep) as load:
        time.sleep(0.5)
        out = bed.do()
        assert out["changed"] and out["servers"][0]["status"] == "MAINT"
        bed.web1.stop()
        time.sleep(0.5)
        bed.web1.start()
        back = bed.do("ready")
        assert back["changed"] and back["servers"][0]["status"] == "UP"
        time.sleep(0.5)
    assert load.lost == []
    assert load.sent > 100 and load.by["web1"] > 10 and load.by["web2"] > 10
    assert file.read_text() == before
    assert not bed.do("ready")["changed"]


def test_without_the_drain_requests_are_lost(bed: Bed) -> None:
    """The negative control: nginx' own retry is switched off, as for every POST."""
    bed.nginx.site("app", bed.at1, bed.at2, location="proxy_next_upstream off;")
    bed.nginx.start()
    with Load(bed.nginx.ports["app"]) as load:
        time.sleep(0.5)
        bed.web1.stop()
        time.sleep(0.5)
        bed.web1.start()
        time.sleep(0.2)
    assert load.lost


def test_with_the_drain_none_is_lost_though_nginx_does_not_try_again(bed: Bed) -> None:
    bed.nginx.site("app", bed.at1, bed.at2, location="proxy_next_upstream off;")
    bed.nginx.start()
    with Load(bed.nginx.ports["app"]) as load:
        time.sleep(0.5)
        bed.do()
        bed.web1.stop()
        time.sleep(0.5)
        bed.web1.start()
        bed.do("ready")
        time.sleep(0.2)
    assert load.lost == []


def test_two_upstreams_in_two_files_and_a_check_that_changes_nothing(bed: Bed) -> None:
    files = [bed.nginx.site(name, bed.at1, f"{bed.at2} weight=2") for name in ("app", "api")]
    bed.nginx.start()
    before = [file.read_text() for file in files]
    for file, mode in zip(files, (0o640, 0o604), strict=True):
        file.chmod(mode)
    bed.nginx.reload()
    workers = bed.nginx.workers()
    dry = bed.do(backends=["app", "api"], check_mode=True)
    assert dry["changed"] and dry["diff"]["after"] == {
        f"app/{bed.at1}": "maint",
        f"api/{bed.at1}": "maint",
    }
    assert [file.read_text() for file in files] == before and bed.nginx.workers() == workers
    bed.do(backends=["app", "api"])
    assert all(" down;" in file.read_text() for file in files)
    assert (bed.nginx.root / "sites/app").is_symlink()
    assert [file.stat().st_mode & 0o777 for file in files] == [0o640, 0o604]
    for name in ("app", "api"):
        assert {get(bed.nginx.ports[name]) for _turn in range(6)} == {"200 web2"}
    again = bed.do(backends=["app", "api"])
    assert not again["changed"]
    bed.do("ready", backends=["app", "api"])
    assert [file.read_text() for file in files] == before
    assert {get(bed.nginx.ports["api"]) for _turn in range(9)} == {"200 web1", "200 web2"}


def test_a_request_in_flight_is_waited_for(bed: Bed) -> None:
    bed.nginx.site("app", bed.at1, bed.at2)
    bed.nginx.start()
    slow = hold(bed)
    run = bed.begin()
    time.sleep(3)
    assert run.running()
    bed.web1.let_go.set()
    bed.web2.let_go.set()
    result = run.result()
    assert not result.get("failed"), result
    assert "200 web1" in let_go(bed, slow)


@pytest.mark.parametrize("policy", ["restore", "force", "fail"])
def test_a_long_poll_on_an_old_worker_is_dealt_with_by_the_policy(bed: Bed, policy: str) -> None:
    file = bed.nginx.site("app", bed.at1, bed.at2)
    bed.nginx.start()
    before = file.read_text()
    slow = hold(bed)
    result = bed.begin(drain_timeout=2, on_timeout=policy).result()
    if policy == "force":
        assert not result.get("failed"), result
        assert result["sessions_cut"] >= 1
    else:
        assert "connection(s) from nginx after 2 s" in result["msg"]
        assert "worker_shutdown_timeout" in result["msg"]
        assert result["left_drained"] == (policy == "fail")
    assert (file.read_text() == before) == (policy == "restore")
    assert "200 web1" in let_go(bed, slow)


def test_what_nginx_cannot_do_is_refused_before_anything_is_touched(bed: Bed) -> None:
    cases = {
        "has no other server": (bed.at1,),
        "down or backups": (bed.at1, f"{bed.at2} down"),
        "down or backups ": (bed.at1, f"{bed.at2} backup"),
        "max_fails=0": (f"{bed.at1} max_fails=0", bed.at2),
        "would be left with 0 server(s) UP": (bed.at1, "127.0.0.1:1"),
    }
    file = bed.nginx.site("app", bed.at1, bed.at2)
    bed.nginx.start()
    for words, servers in cases.items():
        bed.nginx.site("app", *servers)
        before = file.read_text()
        bed.nginx.reload()
        workers = bed.nginx.workers()
        assert words.strip() in bed.refused(), words
        assert file.read_text() == before and bed.nginx.workers() == workers
    bed.nginx.site("app", bed.at1, bed.at2)
    bed.nginx.reload()
    assert "nosuch" in bed.refused(backends=["nosuch"])
    assert "10.9.9.9" in bed.refused(server="10.9.9.9")


def test_files_that_were_changed_and_not_loaded_are_not_brought_in(bed: Bed) -> None:
    file = bed.nginx.site("app", bed.at1, bed.at2)
    bed.nginx.start()
    file.write_text(file.read_text() + "# half a thought\n")
    assert "not what runs" in bed.refused()
    assert "not what runs" in " ".join(bed.info()["hazards"])
    bed.nginx.reload()
    bed.do()
    # Also of what we loaded ourselves it is known that it runs, and what was changed since.
    file.write_text(file.read_text() + "# another\n")
    assert "not what runs" in " ".join(bed.info()["hazards"])
    # Who is out must come back all the same.
    assert any("not what runs" in note for note in bed.do("ready")["notes"])


def test_what_somebody_has_not_finished_is_not_brought_in_by_a_drain_that_is_there(
    bed: Bed,
) -> None:
    file = bed.nginx.site("app", bed.at1, bed.at2)
    bed.nginx.start()
    bed.do()
    workers = bed.nginx.workers()
    file.write_text(file.read_text().replace(f"{bed.at2};", f"{bed.at2} weight=7;"))
    assert not bed.do(lease=60)["changed"]
    assert bed.nginx.workers() == workers
    rows = {row["server"]: row for row in bed.info()["backends"][0]["servers"]}
    assert rows[bed.at2]["weight_set"] == 1, "what runs"
    assert bed.do("ready")["lease"] is None


def test_files_that_cannot_be_put_back_leave_the_lease(bed: Bed) -> None:
    """As if the disk had become full, or the directory somebody else's, in this very moment."""
    bed.nginx.site("app", top=f"include {bed.nginx.root}/servers/*.conf;")
    folder = bed.nginx.root / "servers"
    folder.mkdir()
    for name, address in (("web1", bed.at1), ("web2", bed.at2)):
        (folder / f"{name}.conf").write_text(f"server {address};\n")
    bed.nginx.start()
    # The test of the configuration changes the file under our hands, and then fails.
    spoil = f"/bin/sh -c 'echo \"server {bed.at1};# mine\" > {folder}/web1.conf; exit 1'"
    result = bed.begin(test_command=spoil, lease=60).result()
    assert "COULD NOT BE PUT BACK" in result["msg"] and "changed by somebody else" in result["msg"]
    assert "# mine" in (folder / "web1.conf").read_text()


def test_a_configuration_that_nginx_refuses_is_put_back(bed: Bed) -> None:
    file = bed.nginx.site("app", bed.at1, bed.at2)
    bed.nginx.start()
    before, workers = file.read_text(), bed.nginx.workers()
    text = bed.refused(test_command="/bin/sh -c 'echo no such thing; exit 1'")
    assert "no such thing" in text and "files are as they were" in text
    assert file.read_text() == before and bed.nginx.workers() == workers
    assert bed.status() == "UP"


def test_a_reload_that_nginx_does_not_take_is_found_and_undone(bed: Bed) -> None:
    """`nginx -t` opens no port: that one is taken shows in a reload only."""
    file = bed.nginx.site("app", bed.at1, bed.at2)
    bed.nginx.start()
    taken = bed.nginx.root / "available/taken"
    taken.write_text(f"server {{ listen 127.0.0.1:{bed.web1.port}; }}\n")
    (bed.nginx.root / "sites/taken").symlink_to(taken)
    # Surely younger than the workers, which have just been started.
    os.utime(taken, (time.time() + 5, time.time() + 5))
    # As if it had been there when nginx was started: what is older than the workers counts as read.
    before, workers = file.read_text(), bed.nginx.workers()
    text = bed.refused(test_command="/bin/true", reload_timeout=5)
    assert "not what runs" in text
    (bed.nginx.root / "sites/taken").unlink()
    # And where nobody can know before: nginx says nothing, and has no new workers.
    text = bed.refused(reload_command="/bin/true", reload_timeout=2)
    assert "no new workers within 2 s" in text and "files are as they were" in text
    assert file.read_text() == before and bed.nginx.workers() == workers
    assert bed.status() == "UP"
    assert {get(bed.nginx.ports["app"]) for _turn in range(6)} == {"200 web1", "200 web2"}


def test_somebody_rewrites_the_file_in_the_middle(bed: Bed) -> None:
    file = bed.nginx.site("app", bed.at1, bed.at2)
    bed.nginx.start()
    before = file.read_text()
    slow = hold(bed)
    run = bed.begin()
    until(lambda: " down;" in file.read_text(), "it is out")
    until(lambda: len(bed.nginx.workers()) == 2, "new workers")
    time.sleep(1)
    file.write_text(before + "# by a role\n")
    bed.nginx.reload()
    until(lambda: " down;" in file.read_text(), "it is out again")
    assert "# by a role" in file.read_text()
    time.sleep(1)
    bed.web1.let_go.set()
    bed.web2.let_go.set()
    result = run.result()
    assert not result.get("failed"), result
    assert any("rewrote" in note for note in result["notes"])
    assert {get(bed.nginx.ports["app"]) for _turn in range(6)} == {"200 web2"}
    bed.do("ready")
    assert file.read_text() == before + "# by a role\n"
    assert "200 web1" in let_go(bed, slow)


def test_somebody_who_rewrites_it_again_and_again_stops_the_drain(bed: Bed) -> None:
    file = bed.nginx.site("app", bed.at1, bed.at2)
    bed.nginx.start()
    before = file.read_text()
    slow = hold(bed)
    run = bed.begin()
    for _turn in range(2):
        until(lambda: " down;" in file.read_text(), "it is out")
        time.sleep(1)
        file.write_text(before)
    result = run.result()
    assert "twice while it was drained" in result["msg"]
    assert file.read_text() == before and bed.status() == "UP"
    assert "200 web1" in let_go(bed, slow)


def test_what_does_not_answer_is_not_put_back(bed: Bed) -> None:
    bed.nginx.site("app", bed.at1, bed.at2)
    bed.nginx.start()
    bed.do()
    bed.web1.stop()
    assert "does not answer from there" in bed.refused("ready", up_timeout=1)
    assert bed.status() == "MAINT"
    bed.web1.start()
    bed.do("ready")


def test_what_somebody_else_took_out_stays_out(bed: Bed) -> None:
    file = bed.nginx.site("app", f"{bed.at1} down", bed.at2)
    bed.nginx.start()
    before = file.read_text()
    out = bed.do()
    assert not out["changed"] and out["servers"][0]["left_out"]
    back = bed.do("ready")
    assert not back["changed"] and any("left so" in note for note in back["notes"])
    assert file.read_text() == before
    [told] = bed.info()["out_by_others"]
    assert told["how"] == "in MAINT" and f"{file}, line 4" in told["undo"]


def test_shares_of_a_weight(bed: Bed) -> None:
    file = bed.nginx.site("app", f"{bed.at1} weight=100", f"{bed.at2} weight=100")
    bed.nginx.start()
    before = file.read_text()
    bed.do()
    back = bed.do("ready", share=10)
    assert back["servers"][0]["weight_set"] == 10 and back["servers"][0]["weight_full"] == 100
    answers = [get(bed.nginx.ports["app"]) for _turn in range(110)]
    assert 2 <= answers.count("200 web1") <= 25
    bed.do()
    assert bed.info()["servers"][0]["weight_set"] == 10
    assert bed.do("ready", share=100)["servers"][0]["weight_set"] == 100
    assert file.read_text() == before
    bed.nginx.site("app", bed.at1, bed.at2)
    bed.nginx.reload()
    assert "less than 1" in bed.refused("ready", share=10)


def test_one_file_for_each_server(bed: Bed) -> None:
    """What the operator may prefer: files that only we write to."""
    bed.nginx.site("app", top=f"include {bed.nginx.root}/servers/*.conf;")
    (bed.nginx.root / "servers").mkdir()
    for name, address in (("web1", bed.at1), ("web2", bed.at2)):
        (bed.nginx.root / f"servers/{name}.conf").write_text(f"server {address};\n")
    bed.nginx.start()
    bed.do()
    assert (bed.nginx.root / "servers/web2.conf").read_text() == f"server {bed.at2};\n"
    assert {get(bed.nginx.ports["app"]) for _turn in range(6)} == {"200 web2"}
    bed.do("ready")
    assert (bed.nginx.root / "servers/web1.conf").read_text() == f"server {bed.at1};\n"


def test_an_older_run_is_refused(bed: Bed) -> None:
    file = bed.nginx.site("app", bed.at1, bed.at2)
    bed.nginx.start()
    bed.do("ready", turn=2, turn_by="ada")
    assert "A newer run works" in bed.refused(turn=1)
    assert " down;" not in file.read_text()


def test_a_run_that_was_overtaken_in_the_middle_changes_nothing_any_more(bed: Bed) -> None:
    file = bed.nginx.site("app", bed.at1, bed.at2)
    bed.nginx.start()
    bed.do(turn=1)
    bed.web1.stop()
    waits = bed.begin("ready", turn=1)
    time.sleep(1)
    bed.do(turn=2, turn_by="ada")
    bed.web1.start()
    assert "A newer run works" in waits.result()["msg"]
    assert " down;" in file.read_text()
