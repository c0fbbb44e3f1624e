from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._plan.fingerprint import (
    controller_files,
    fleet_files,
    plan_asks,
    plan_hash,
)

STAGES = ({"gunicorn": "21.2.0"}, {"gunicorn": "23.0.0", "python": "3.11"})
APP = "flask==3.0.0\n"


def name(stages=STAGES, to="", app="app.txt", home="/srv/app", contents=None, hashes=False):
    return plan_hash(plan_asks(stages, to, app, home, contents or {"app.txt": APP}, hashes))


def test_it_is_what_it_has_always_been():
    """Records of fleets keep it: whoever changes this makes every canary of the world new."""
    assert name() == "48d5daade134"
    assert name(app="") == "023f87239f75"


def test_it_is_the_same_for_the_same_wish_in_other_words():
    assert name() == name(
        [
            {"requirements": "", "python": "", "gunicorn": "21.2"},
            {"python": "3.11", "requirements": None, "gunicorn": "23.0.0"},
        ]
    )
    # The file of the application, or the same file for each stage.
    each = [{**stage, "requirements": "app.txt"} for stage in STAGES]
    assert name() == name(each, app="")
    # A checkout with other line ends.
    assert name(contents={"app.txt": "a==1\nb==2\n"}) == name(contents={"app.txt": "a==1\r\nb==2"})


@pytest.mark.parametrize(
    "other",
    [
        {"stages": STAGES[:1]},
        {"stages": STAGES[::-1]},
        {"stages": ({"gunicorn": "21.2.0"}, {"gunicorn": "23.0.0", "python": "3.12"})},
        {"stages": ({"gunicorn": "21.2.0"}, {"gunicorn": "23.0.0"})},
        {"stages": ({"gunicorn": "21.2.0"}, {"gunicorn": "23.0.1", "python": "3.11"})},
        {"stages": ({**STAGES[0], "requirements": "b.txt"}, STAGES[1])},
        {"to": "21.2.0"},
        {"app": ""},
        {"app": "/srv/app/app.txt"},
        {"contents": {"app.txt": "flask==3.0.1\n"}},
        {"hashes": True},
    ],
    ids=str,
)
def test_another_wish_has_another_name(other):
    contents = {"app.txt": APP, "b.txt": "flask==2.0.3\n"}
    assert name(**{"contents": contents, **other}) != name(contents=contents)


def test_the_place_of_the_same_content_makes_no_difference():
    assert name() == name(app="files/app.txt", contents={"files/app.txt": APP})


def test_hosts_with_homes_of_their_own_have_one_plan():
    homes = ["/srv/web1", "/srv/web2/"]
    files = {name(app=home.rstrip("/") + "/app.txt", home=home) for home in homes}
    assert len(files) == 1
    assert name(app="/srv/web1/app.txt", home="/srv/web") == name(app="/srv/web1/app.txt", home="")
    assert name(app="/etc/app.txt", home="/") == name(app="/etc/app.txt", home="")


def test_no_stages_have_no_name():
    assert name([]) == name([{"gunicorn": ">=1"}]) == name(to="99") == ""


def test_content_that_is_not_given_is_an_error_and_not_another_name():
    with pytest.raises(FleetError, match=r"requirements file app\.txt.*was not given"):
        name(contents={"b.txt": ""})


def test_only_files_of_the_controller_are_read_and_only_those_of_the_run():
    stages = [
        {"gunicorn": "21.2.0"},
        {"gunicorn": "23.0.0", "requirements": "/on/the/host.txt"},
        {"gunicorn": "24.1.1", "requirements": "later.txt"},
    ]
    assert controller_files(stages, "", "app.txt") == ["app.txt", "later.txt"]
    assert controller_files(stages, "23.0.0", "app.txt") == ["app.txt"]
    assert controller_files(stages, "", "") == ["later.txt"]
    assert controller_files(STAGES, "", "app.txt") == ["app.txt"]
    assert controller_files("nonsense", "", "app.txt") == []


def test_it_is_the_same_in_another_process():
    code = (
        "from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._plan.fingerprint"
        " import *;"
        f"print(plan_hash(plan_asks({STAGES!r}, '', 'app.txt', '/x', {{'app.txt': {APP!r}}}, 0)))"
    )
    root = Path(__file__).resolve().parents[5]
    found = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(root / ".collections"), "PYTHONHASHSEED": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == name()


def test_a_fleet_has_the_files_of_all_its_hosts():
    def host(requirements):
        judged = {"stages": STAGES, "requirements": requirements}
        return {"_settings_checked": {"judged_by": judged}}

    hosts = [host("app.txt"), host("other.txt"), host("app.txt"), host("")]
    assert fleet_files(hosts, "") == ["app.txt", "other.txt"]
