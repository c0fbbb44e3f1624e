"""The plan on a real fleet: virgin, half-way, finished and broken, and nothing is touched by it."""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
import xmlrpc.client
from pathlib import Path
from typing import Any

import pytest
from supervisor.xmlrpc import SupervisorTransport

ROOT = Path(__file__).resolve().parents[2]
LOST = "web: {hosts: {web2: {ansible_connection: ssh, ansible_host: 127.0.0.1, ansible_port: 1}}}\n"


def tree(bed) -> dict[str, str]:
    """Every file of the fleet, releases and the balancer's host included, by its content.

    Logs grow by themselves; what Python and the kernel keep for themselves is no file of ours.
    """
    found = {}
    for place in (*(bed.home(host) for host in ("web1", "web2")), bed.fleet.root / "lb1"):
        for path in sorted(place.rglob("*")):
            if "__pycache__" in path.parts or path.suffix in (".log", ".pid", ".sock"):
                continue
            name = str(path.relative_to(bed.fleet.root))
            if path.is_symlink():
                found[name] = "-> " + os.readlink(path)
            elif path.is_file():
                found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
            else:
                found[name] = "directory" if path.is_dir() else "special"
    return found


def plan(bed, directory: Path, *arguments: str, code: int = 0, **inputs: Any) -> tuple[Any, Any]:
    """Plan, see that nothing was touched by it, and return the run and the plan's JSON."""
    file = directory / "plan.json"
    file.unlink(missing_ok=True)
    before, running = tree(bed), generations(bed)
    run = bed.playbook(
        "upgrade.yml", "--check", "--diff", *arguments, plan_file=str(file), **inputs
    )
    assert (run.code == 0) == (code == 0), run.text[-3000:]
    assert tree(bed) == before
    assert generations(bed) == running
    return run, json.loads(file.read_text()) if file.exists() else None


def generations(bed) -> dict[str, Any]:
    return {host: (bed.version(host) or {}).get("arbiter_pid") for host in ("web1", "web2")}


def actions(told) -> list[tuple[int, str, str]]:
    return [(turn["stage"], turn["host"], turn["action"]) for turn in told["turns"]]


@pytest.fixture(scope="module")
def virgin(bed, tmp_path_factory):
    """The plan of a fleet that was never touched."""
    return plan(bed, tmp_path_factory.mktemp("virgin"))


def test_a_virgin_fleet(virgin):
    run, told = virgin
    assert actions(told) == [
        (1, "web1", "upgrade"),
        (1, "web2", "upgrade"),
        (2, "web1", "upgrade"),
        (2, "web2", "upgrade"),
    ]
    first = told["turns"][0]
    assert first["before"] == {"gunicorn": "20.0.1", "python": "3.6"}
    assert first["packages"]["known"] == "pins"
    assert first["packages"]["changed"]["gunicorn"] == ["20.0.1", "21.2.0"]
    assert "reentrant" in first["hazards"]["brings"]
    assert told["not"] == {"stages": [], "hosts": {}, "unneeded": {}}
    assert told["problems"] == {}
    # gunicorn runs with no forwarded_allow_ips, and its default changes with 23.0.
    assert [each["setting"] for each in told["turns"][-1]["settings"]] == ["forwarded_allow_ips"]
    assert f"Plan {told['plan']} of fleet app: 2 stages, 4 turns of 2 hosts" in run.text


def test_one_host_has_the_plan_of_the_fleet_however_it_is_watched(bed, virgin, tmp_path):
    _run, told = plan(bed, tmp_path, "-l", "web1", gate_soak=1, gate_health_timeout=9)
    assert told["plan"] == virgin[1]["plan"]
    assert told["not"]["hosts"] == {"web2": "not in this run"}


def test_fewer_stages_are_another_plan_and_a_silent_index_is_one_line(bed, virgin, tmp_path):
    nowhere = "http://planted:s3cret@127.0.0.1:1/simple"
    run, told = plan(bed, tmp_path, rollout_to="21.2.0", release_index_url=nowhere)
    assert told["plan"] != virgin[1]["plan"]
    assert told["not"]["stages"] == ["23.0.0"]
    assert "refused" in told["index"]["error"]
    assert len(re.findall("the index could not be asked", run.text)) == 1
    assert "s3cret" not in run.text
    assert "s3cret" not in json.dumps(told)


def test_requirements_on_the_controller_are_read(bed, virgin, tmp_path):
    file = tmp_path / "app.txt"
    file.write_text("flask==2.0.2\n")
    _run, told = plan(bed, tmp_path, "-l", "web1", app_requirements=os.path.relpath(file, ROOT))
    assert told["plan"] != virgin[1]["plan"]
    packages = told["turns"][0]["packages"]
    assert packages["changed"]["flask"] == ["2.0.3", "2.0.2"]
    assert "werkzeug" in packages["undecided"]


def test_packages_carried_over_are_known_from_the_live_virtualenv(bed, tmp_path):
    wheels = next(bed.fleet.cache.rglob("*.whl")).parent
    wanted = {"app_requirements": "", "release_wheelhouse": str(wheels)}
    _run, told = plan(bed, tmp_path, **wanted)
    first, last = told["turns"][0]["packages"], told["turns"][-1]["packages"]
    assert first["source"] == "carried"
    assert list(first["changed"]) == ["gunicorn"]
    assert first["removed"] == {}
    # dataclasses is in the standard library of the newer Python.
    assert "dataclasses" in last["removed"]
    assert last["may_move"]
    # With a wheelhouse no index is asked.
    assert told["index"]["asked"] == []
    assert "wheelhouse" in told["index"]["error"]


def test_a_plan_that_cannot_be_built_is_refused_and_says_why_once(bed, tmp_path):
    """What no package owns would be lost; the plan knows it, and nothing has to be built for it."""
    (site,) = (bed.home("web1") / "venv").resolve().glob("lib/python*/site-packages")
    mine = site / "config_local.py"
    mine.write_text("LOGIN = 'required'\n")
    try:
        run, told = plan(bed, tmp_path, "-l", "web1", code=2)
        kept, _told = plan(bed, tmp_path, "-l", "web1", release_carry_files=["config_local.py"])
    finally:
        mine.unlink()
    assert run.code == 2
    (problem,) = told["problems"]["web1"]
    assert problem.startswith("stage 1, 2: ") and "config_local.py" in problem
    assert "refuse | Refuse what is known to be impossible" in run.text
    assert "PROBLEM" not in kept.text


def test_settings_that_are_used_and_gone_are_told(bed, tmp_path):
    """The configuration file of the live gunicorn is looked at, and not run."""
    ran = tmp_path / "ran"
    config = Path(bed.state["hosts"]["web1"]["app_home"]) / "gunicorn.conf.py"
    config.write_text(f"worker_class = 'eventlet'\nopen('{ran}', 'w').close()\n")
    stages = [{"gunicorn": "26.1.0", "python": "3.11"}]
    wanted = {"rollout_stages": stages, "release_boot_test": False}
    try:
        run, told = plan(bed, tmp_path, "-l", "web1", **wanted)
    finally:
        config.unlink()
    effects = {each["setting"]: each["effect"] for each in told["turns"][0]["settings"]}
    assert "has no such worker any more" in effects["worker_class"]
    assert "setting worker_class of web1: eventlet in the configuration file" in run.text
    assert not ran.exists()


def test_a_broken_fleet_still_has_a_plan(bed, tmp_path):
    supervisor(bed, "web1").stopProcess("app", True)
    try:
        run, told = plan(bed, tmp_path, code=1)
    finally:
        start(bed, "web1")
    assert {host for _stage, host, _action in actions(told)} == {"web2"}
    assert "says STOPPED" in told["problems"]["web1"][0]
    assert "PROBLEM web1: " in run.text
    assert "Stage 2 of 2: gunicorn 23.0.0" in run.text


def test_a_host_that_cannot_be_reached_does_not_hide_the_others(bed, tmp_path):
    extra = tmp_path / "lost.yml"
    extra.write_text(LOST)
    run, told = plan(bed, tmp_path, "-i", "inventories/demo", "-i", str(extra), code=1)
    assert {host for _stage, host, _action in actions(told)} == {"web1"}
    assert "cannot be reached" in told["problems"]["web2"][0]
    assert "UNREACHABLE" in run.text


def test_half_way_and_at_the_end(bed, tmp_path):
    """A real run shows its plan first, and what it built; then each plan knows where it is."""
    file = tmp_path / "real.json"
    run = bed.playbook("upgrade.yml", "-l", "web1", rollout_to="21.2.0", plan_file=str(file))
    assert run.code == 0, run.text[-3000:]
    assert json.loads(file.read_text())["turns"][0]["action"] == "upgrade"
    assert run.text.index("Stage 1 of 1: gunicorn 21.2.0") < run.text.index("Stage 1, packages of")
    assert "packages of web1, as built, against now: gunicorn 20.0.1 -> 21.2.0" in run.words

    shown, told = plan(bed, tmp_path)
    assert actions(told)[:2] == [(1, "web1", "skip"), (1, "web2", "upgrade")]
    assert "web1: nothing to do, runs gunicorn 21.2.0 on Python 3.6 already" in shown.text
    # What a turn took is on record now.
    assert told["seconds"]["earlier"]["turns"] == 1
    assert told["seconds"]["expected"] == pytest.approx(
        3 * told["seconds"]["earlier"]["median"], abs=0.5
    )

    old = outdated(bed, "web1")
    shown, told = plan(bed, tmp_path, rollout_keep_releases=2)
    gone = {"web1": {"releases": [old.name], "error": ""}}
    assert told["prune"] == {"keep": 2, "hosts": gone}
    assert f"at the end on web1 (rollout_keep_releases 2): {old.name}" in shown.text
    active = os.path.realpath(bed.home("web1") / "venv")

    run = bed.playbook("upgrade.yml", rollout_keep_releases=2)
    assert run.code == 0, run.text[-3000:]
    assert not old.exists()
    assert os.path.isdir(active)
    for host in ("web1", "web2"):
        left = sorted(path.name for path in bed.home(host).glob("releases/[!.]*"))
        assert [name.partition("-")[0] for name in left] == ["21.2.0", "23.0.0", "adopted"]
    shown, told = plan(bed, tmp_path)
    assert told["prune"] == {"keep": 5, "hosts": {}}
    assert {action for _stage, _host, action in actions(told)} == {"skip"}
    assert told["not"]["unneeded"].keys() == {"web1", "web2"}
    assert "Time: none" in shown.text

    # Back, with the release there: now its packages are known to the last.
    back = bed.playbook("rollback.yml", "-l", "web1")
    assert back.code == 0, back.text[-3000:]
    _shown, told = plan(bed, tmp_path, "-l", "web1", rollout_force=True)
    last = told["turns"][-1]
    assert last["release"]["there"]
    assert last["packages"]["known"] == "all"
    assert last["packages"]["undecided"] == []


def outdated(bed, host: str) -> Path:
    """A release of years ago."""
    (active,) = bed.home(host).glob("releases/2*")
    old = active.parent / "20.1.0-py3.6-0f1e2d3c"
    (old / "bin").mkdir(parents=True)
    record = json.loads((active / "release.json").read_text())
    told = {**record, "id": old.name, "built_at": "2020-11-24T07:00:00Z"}
    (old / "release.json").write_text(json.dumps(told))
    return old


def supervisor(bed, host: str):
    url = bed.state["hosts"][host]["supervisor_url"]
    transport = SupervisorTransport(None, None, url)
    return xmlrpc.client.ServerProxy("http://localhost", transport=transport).supervisor


def start(bed, host: str) -> None:
    supervisor(bed, host).startProcess("app", True)
    deadline = time.monotonic() + 60
    while generations(bed)[host] is None or not bed.fleet.admin.look()[host].in_rotation:
        assert time.monotonic() < deadline, f"{host} does not come back"
        time.sleep(0.1)
