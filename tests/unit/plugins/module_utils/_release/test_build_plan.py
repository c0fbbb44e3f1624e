# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a release is known by, and what is known to be impossible before anything is built."""

import zipfile

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.installer import Source
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.interpreters import (
    Found,
    Interpreter,
    Probed,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._release import build_plan

from tests.unit.plugins.module_utils._packages.paper_site import make_site, wheel, write

MARKERS = {
    "os_name": "posix",
    "sys_platform": "linux",
    "platform_machine": "x86_64",
    "platform_python_implementation": "CPython",
    "platform_system": "Linux",
    "python_full_version": "3.11.7",
    "python_version": "3.11",
    "implementation_name": "cpython",
}
PYTHON = Interpreter("/usr/bin/python3.11", "3.11.7", "CPython", "linux", True, "/pip.whl", MARKERS)


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setattr(build_plan, "find_python", lambda *_: Found(PYTHON, (), ()))
    monkeypatch.setattr(build_plan, "probe_python", lambda *_: Probed(PYTHON))
    monkeypatch.setattr(build_plan, "find_uv", lambda: "")
    monkeypatch.setattr(build_plan, "refuse_doubt", lambda path: None)
    return tmp_path


def planned(home, text=None, carry_from="", gunicorn="23.0.0", wheelhouse="", **more):
    order = build_plan.Order(
        home=str(home),
        gunicorn=gunicorn,
        python="3.11",
        requirements=text,
        requirements_file="",
        requirements_source="",
        carry_from=carry_from,
        source=Source("", (), wheelhouse),
        require_hashes=False,
        installer="pip",
        min_free_mb=0,
        built_by="",
    )
    return build_plan.plan(order._replace(**more))


def test_two_wheels_behind_one_key_have_two_names(home):
    one, other = (planned(home, f"x @ https://h/x.whl?key={key}\n") for key in ("aa", "bb"))
    assert one.identity != other.identity
    assert one.inputs["requirements"] == other.inputs["requirements"]
    assert "key=aa" not in str(one.inputs)


def test_a_release_without_secrets_keeps_the_name_that_it_had(home):
    """As it was before there was more to a name: nobody builds again for it."""
    made = planned(home, "flask==2.0.3\n")
    assert set(made.inputs) == {
        "schema", "gunicorn", "python", "implementation", "platform", "requirements",
        "require_hashes", "wheelhouse",
    }  # fmt: skip
    assert made.identity == "23.0.0-py3.11-f751d854"


def test_a_directory_of_the_host_is_known_by_what_it_holds(home):
    write(home, "src/lib/__init__.py", "1\n")
    text = f"lib @ file://{home}/src\n"
    before = planned(home, text)
    assert planned(home, text).identity == before.identity
    write(home, "src/lib/__init__.py", "2\n")
    assert planned(home, text).identity != before.identity
    with pytest.raises(FleetError, match="gone, and it cannot be read here"):
        planned(home, f"{home}/gone\n")


def archive(path, text, when=(2026, 1, 1, 0, 0, 0)):
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(str(path), "w") as made:
        made.writestr(zipfile.ZipInfo("lib.py", when), text)


@pytest.mark.parametrize("how", ["wheelhouse", "links"])
def test_a_wheel_is_known_by_what_it_holds_not_by_its_size_or_time(home, how):
    house = home / "wheels"
    place = house / "lib-1.0-py3-none-any.whl"

    def identity():
        if how == "links":
            return planned(home, f"-f {house}\nlib==1.0\n").identity
        return planned(home, "lib==1.0\n", wheelhouse=str(house)).identity

    archive(place, "one")
    before = identity()
    archive(place, "one", (2026, 2, 2, 0, 0, 0))
    assert identity() == before
    archive(place, "two")
    assert identity() != before


@pytest.fixture
def live(home):
    site = make_site(home / "venv")
    wheel(site, "flask", "2.0.3", {"flask/__init__.py": ""})
    wheel(site, "gunicorn", "20.0.4", {"gunicorn/__init__.py": ""}, ["setuptools>=3.0"])
    return site


def carried(home, **more):
    return planned(home, carry_from=str(home / "venv"), **more)


@pytest.mark.parametrize("text", [None, "flask==2.0.3\n"])
def test_what_no_package_owns_is_never_lost_without_a_word(home, live, text):
    write(live, "config_local.py", "LOGIN = 'required'\n")
    (home / "code").mkdir()
    write(live, "mine.pth", f"{home}/code\n")
    with pytest.raises(FleetError) as error:
        carried(home, text=text)
    assert f"config_local.py, mine.pth (leads to {home}/code)" in str(error.value)
    assert "release_carry_files: [config_local.py, mine.pth]" in str(error.value)
    made = carried(home, text=text, carry_files=("config_local.py",), leave_files=("*.pth",))
    assert [entry.path for _site, entry in made.files] == ["config_local.py"]
    assert [entry.path for entry in made.left] == ["mine.pth"]


def test_a_pth_that_leads_back_into_the_old_virtualenv_is_not_carried_over(home, live):
    write(live, "mine-1.0.egg/mine.py", "")
    write(live, "easy-install.pth", "./mine-1.0.egg\n")
    both = ("mine-1.0.egg", "easy-install.pth")
    assert len(carried(home, carry_files=both).files) == 2
    write(live, "easy-install.pth", f"{live}/mine-1.0.egg\n")
    with pytest.raises(FleetError, match="would run the old one's code"):
        carried(home, carry_files=both)


def test_what_is_carried_over_is_a_part_of_the_name(home, live):
    plain = carried(home)
    write(live, "config_local.py", "LOGIN = 'required'\n")
    left = carried(home, leave_files=("config_local.py",))
    one = carried(home, carry_files=("config_local.py",))
    write(live, "config_local.py", "LOGIN = None\n")
    other = carried(home, carry_files=("config_local.py",))
    assert left.identity == plain.identity
    assert len({plain.identity, one.identity, other.identity}) == 3


def test_a_cap_on_gunicorn_is_the_reason_that_is_told(home, live):
    wheel(live, "mlflow", "2.9.2", {"mlflow.py": ""}, ["gunicorn<22"])
    with pytest.raises(FleetError, match="mlflow 2.9.2 wants gunicorn<22"):
        carried(home)
    with pytest.raises(FleetError, match="mlflow 2.9.2 wants gunicorn<22"):
        carried(home, text="mlflow==2.9.2\n")
    assert carried(home, text="mlflow==2.10.0\n")
    assert carried(home, gunicorn="21.2.0")


def test_a_python_that_is_not_there_is_told_apart(home, live, monkeypatch):
    monkeypatch.setattr(build_plan, "find_python", lambda *_: Found(None, ("/usr/bin",), ()))
    with pytest.raises(build_plan.NoPython):
        carried(home)
    # What else is known comes first.
    write(live, "config_local.py", "")
    with pytest.raises(FleetError, match="config_local.py"):
        carried(home)
