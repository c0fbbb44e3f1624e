# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""On a real fleet under load: a server out for work and back, one left behind, a pause."""

from __future__ import annotations

import json

from conftest import Bed, Run

RATE = 40
ONE = {"rollout_stages": [{"gunicorn": "21.2.0"}], "gate_soak": 3, "gate_interval": 1}
TWO = {**ONE, "rollout_stages": [{"gunicorn": "23.0.0", "python": "3.11"}]}
SHUT = {"freeze": [{"from": "2020-01-01", "until": "2090-01-01", "why": "the big sale"}]}
STORY = "fleetops.gunicorn.story"


def run(bed: Bed, playbook: str, *arguments: str, **inputs: object) -> Run:
    return bed.ended(bed.start(playbook, *arguments, callback=STORY, **inputs))


def states(bed: Bed) -> dict[str, str]:
    """Who is in rotation."""
    seen = bed.fleet.admin.look()
    return {name: "UP" if each.in_rotation else "OUT" for name, each in seen.items()}


def lease_ends(bed: Bed) -> float:
    """Seconds since the boot of this machine."""
    [file] = (bed.fleet.root / "lb1/leases").glob("web1-*.json")
    return float(json.loads(file.read_text())["until"])


def held(bed: Bed) -> object:
    """Who is out by the record, where there is one yet."""
    file = bed.fleet.root / "lb1/locks/app.record.json"
    return json.loads(file.read_text()).get("held") if file.exists() else {}


def test_a_server_is_out_for_work_and_back_when_it_is_well(bed: Bed, traffic) -> None:
    before = bed.fingerprint()
    refused = run(bed, "drain.yml")
    assert refused.code == 2, refused.text
    assert "the run has 2. Name it with -l" in refused.words
    refused = run(bed, "drain.yml", "-l", "web1", load_balancer_out_for="48h")
    assert refused.code == 2 and "load_balancer_out_for is 172800 s" in refused.words, refused.text
    assert states(bed)["web1"] == states(bed)["web2"] == "UP"
    only_told = run(bed, "drain.yml", "-l", "web1", "--check")
    assert only_told.code == 0, only_told.text
    assert states(bed)["web1"] == "UP" and held(bed) == {}

    out = run(bed, "drain.yml", "-l", "web1", load_balancer_out_for="10m", rollout_reason="kernel")
    assert out.code == 0, out.text
    assert "web1 is out of rotation for 10 min, until" in out.words
    assert "whether it is well or not" in out.words
    assert states(bed)["web1"] == "OUT"
    first = lease_ends(bed)
    more = run(bed, "drain.yml", "-l", "web1", load_balancer_out_for="30m")
    assert more.code == 0, more.text
    assert 1100 < lease_ends(bed) - first < 2000
    assert states(bed)["web1"] == "OUT"

    last = run(bed, "drain.yml", "-l", "web2")
    assert last.code == 2 and "F-DRAIN" in last.text.splitlines()[-1], last.text
    assert states(bed)["web2"] == "UP"
    for playbook in ("upgrade.yml", "rollback.yml"):
        told = run(bed, playbook, "-l", "web1", **ONE)
        assert told.code == 2 and "F-HELD" in told.text.splitlines()[-1], told.text
        assert "web1 was taken out of rotation by" in told.words
    assert states(bed)["web1"] == "OUT"

    ill = run(
        bed, "ready.yml", "-l", "web1", gate_health_body="nobody says this", service_start_timeout=3
    )
    assert ill.code == 2, ill.text
    assert "web1 was not put back: " in ill.words and "boot: fail" in ill.words
    assert "F-STAYS" in ill.text.splitlines()[-1]
    assert states(bed)["web1"] == "OUT"
    back = run(bed, "ready.yml", "-l", "web1")
    assert back.code == 0, back.text
    assert states(bed)["web1"] == "UP"
    assert held(bed) == {}
    assert bed.fingerprint() == before


def test_releases_are_built_and_proved_ahead(bed: Bed, traffic) -> None:
    before = bed.fingerprint()
    ill = run(bed, "release.yml", "-l", "web1", release_boot_timeout=0.01, **ONE)
    assert ill.code == 2, ill.text
    assert "prove | Boot it on a spare port" in ill.words and "F-BACK" in ill.text.splitlines()[-1]
    # A window is about servers that are begun.
    built = run(bed, "release.yml", rollout_window=SHUT, **ONE)
    assert built.code == 0, built.text
    assert "is built and proved, nothing was switched" in built.words
    for host in ("web1", "web2"):
        assert list(bed.home(host).glob("releases/21.2.0-*/release.json"))
    assert bed.fingerprint() == before
    again = run(bed, "release.yml", **ONE)
    assert again.code == 0 and "built 21.2.0" not in again.words, again.text


def test_who_fails_is_left_behind_and_the_run_ends_with_it(bed: Bed, traffic) -> None:
    home = bed.home("web2")
    breaks = f"test $ROLLOUT_HOST = web1 || rm {home}/releases/$ROLLOUT_RELEASE/bin/gunicorn"
    hooks = [{"at": "before_switch", "name": "break", "command": ["sh", "-c", breaks]}]
    ended = run(bed, "upgrade.yml", rollout_max_failures=1, rollout_hooks=hooks, **ONE)
    assert ended.code == 2, ended.text
    assert "web2 of 2 servers failed, went back and serve as before" in ended.words
    assert "F-SOME" in ended.text.splitlines()[-1]
    assert bed.version("web1")["gunicorn"] == "21.2.0"
    assert bed.version("web2")["gunicorn"] == "20.0.1"
    assert states(bed)["web1"] == states(bed)["web2"] == "UP"


def test_a_run_pauses_between_two_servers_and_migrates_once(bed: Bed, traffic, tmp_path) -> None:
    window, done = tmp_path / "window.json", tmp_path / "done"
    window.write_text("{}")
    shut = f"echo '{json.dumps(SHUT)}' > {window}"
    release = f"{bed.home('web1')}/releases/$ROLLOUT_RELEASE/bin/python"
    version = f"{release} -c 'import gunicorn; print(gunicorn.__version__)'"
    hooks = [
        {"at": at, "name": at, "command": ["sh", "-c", f"echo {at} $({version}) >> {done}"]}
        for at in ("once_before", "once_after")
    ]
    hooks.append({"at": "after_soak", "name": "time goes on", "command": ["sh", "-c", shut]})
    inputs = {
        **TWO,
        "rollout_hooks": hooks,
        "rollout_window": f"{{{{ lookup('ansible.builtin.file', '{window}') | from_json }}}}",
    }
    paused = run(bed, "upgrade.yml", **inputs)
    assert paused.code == 2, paused.text
    assert "The run pauses before web2 is touched: rollout_window is closed now" in paused.words
    assert "F-WINDOW" in paused.text.splitlines()[-1]
    assert bed.version("web1")["gunicorn"] == "23.0.0"
    assert states(bed)["web1"] == states(bed)["web2"] == "UP"
    assert done.read_text() == "once_before 23.0.0\n"
    window.write_text("{}")
    rest = run(bed, "upgrade.yml", **inputs)
    assert rest.code == 0, rest.text
    assert bed.version("web2")["gunicorn"] == "23.0.0"
    assert done.read_text() == "once_before 23.0.0\nonce_after 23.0.0\n"
