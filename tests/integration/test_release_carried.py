# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is carried over is what runs: real installers, and a wheelhouse in which strangers lie."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.integration import release_support as support

OURS = {"common/__init__.py": "WHO = 'ours'\n", "common/api.py": ""}
THEIRS = {"common/__init__.py": "WHO = 'theirs'\n", "common/api.py": ""}


@pytest.fixture(scope="module")
def gunicorn(tmp_path_factory):
    """The wheels that every release of these tests needs."""
    house = tmp_path_factory.mktemp("wheels")
    pip = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "-q",
        "--only-binary",
        ":all:",
        "-d",
        str(house),
    ]
    env = support.installer_environment()
    subprocess.run([*pip, "gunicorn==23.0.0"], check=True, env=env)
    return list(house.iterdir())


def wheel(house, name, files, tag="py3-none-any", version="1.0"):
    with zipfile.ZipFile(house / f"{name}-{version}-{tag}.whl", "w") as made:
        for path, text in files.items():
            made.writestr(path, text)
        info = f"{name}-{version}.dist-info"
        about = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        made.writestr(f"{info}/METADATA", about)
        tags = "".join(f"Tag: {each}\n" for each in tag.split("."))
        kind = f"Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\n{tags}"
        made.writestr(f"{info}/WHEEL", kind)
        listed = [*files, f"{info}/METADATA", f"{info}/WHEEL", f"{info}/RECORD"]
        made.writestr(f"{info}/RECORD", "".join(f"{path},,\n" for path in listed))


class Bed:
    def __init__(self, place, house):
        self.place, self.house = place, house

    def live(self, version, files, name="common"):
        """A virtualenv into which somebody installed this from a directory, by an old pip."""
        packages = {"gunicorn": ("20.0.4", (), None)}
        support.fabricate(self.place.venv, support.python(version), packages)
        (self.site,) = self.place.venv.glob("lib/python*/site-packages")
        info = f"{name}-1.0.dist-info"
        about = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
        listed = {**files, f"{info}/METADATA": about}
        listed[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in [*listed, f"{info}/RECORD"])
        for path, text in listed.items():
            (self.site / path).parent.mkdir(exist_ok=True)
            (self.site / path).write_text(text)

    def order(self, **more):
        order = {"gunicorn": "23.0.0", "python": "3.11", "wheelhouse": str(self.house)}
        return {**order, "carry_from": str(self.place.venv), "boot_test": False, **more}

    def built(self, **more):
        release = Path(self.place.good(**self.order(**more))["path"])
        (site,) = release.glob("lib/python*/site-packages")
        return site


@pytest.fixture
def bed(tmp_path, gunicorn):
    house = tmp_path / "wheels"
    house.mkdir()
    for file in gunicorn:
        (house / file.name).hardlink_to(file)
    with support.home(tmp_path / "app") as place:
        yield Bed(place, house)


def test_a_stranger_of_the_same_name_does_not_take_a_packages_place(bed):
    bed.live("3.11", OURS)
    wheel(bed.house, "common", THEIRS)
    message = bed.place.bad(**bed.order())
    assert "common 1.0 (common/__init__.py differs)" in message
    assert "release_trust: [common]" in message

    trusted = bed.built(trust=["common"])
    assert "theirs" in (trusted / "common/__init__.py").read_text()
    wheel(bed.house, "common", OURS)
    proved = bed.built()
    assert "ours" in (proved / "common/__init__.py").read_text()


def test_for_another_python_the_wheel_of_the_python_in_place_is_the_measure(bed):
    bed.live("3.8", OURS)
    wheel(bed.house, "common", OURS, "py38-none-any")
    wheel(bed.house, "common", THEIRS, "py311-none-any")
    (bed.site / "common/api.py").write_text("patched = True\n")
    assert "common/api.py differs" in bed.place.bad(**bed.order())
    (bed.site / "common/api.py").write_text("")
    assert "theirs" in (bed.built() / "common/__init__.py").read_text()


def test_what_no_package_owns_comes_along_if_it_is_asked_to(bed):
    bed.live("3.11", OURS)
    wheel(bed.house, "common", OURS)
    (bed.site / "common/config_local.py").write_text("LOGIN = 'required'\n")
    (bed.site / "notes").mkdir()
    (bed.site / "notes/a.txt").write_text("x")
    message = bed.place.bad(**bed.order())
    assert "what no package owns" in message and "common/config_local.py, notes" in message
    site = bed.built(carry_files=["common/config_local.py"], leave_files=["notes"])
    assert (site / "common/config_local.py").read_text() == "LOGIN = 'required'\n"
    assert not (site / "notes").exists()


def test_a_compiled_package_that_cannot_be_loaded_is_found_without_the_application(bed):
    bed.live("3.11", {})
    name = "_c.cpython-311-x86_64-linux-gnu.so"
    makes = "import os, contextlib as c\nwith c.suppress(OSError):\n"
    makes += "    os.makedirs(os.environ['HOME'] + '/made')\n"
    makes += f"    open('{bed.house}/home', 'w').write(os.environ['HOME'])\n"
    code = makes + "from . import _c\n"
    files = {"broken/__init__.py": code, f"broken/{name}": "no object\n"}
    wheel(bed.house, "broken", files)
    order = bed.order(requirements="broken==1.0\n")
    message = bed.place.bad(**order)
    assert f"broken (of broken 1.0): {name}: ImportError" in message
    assert not (bed.house / "home").exists(), "an import could make itself a home"
    assert bed.place.good(**order, trust=["broken"])["checks"]["compiled"] == 0
