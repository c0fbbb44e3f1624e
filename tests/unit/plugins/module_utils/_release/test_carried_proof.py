# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether what was carried over by its name is what runs."""

import io
import json
import tarfile
import zipfile
from collections import namedtuple

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages import sdist
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.carried_pins import (
    Carried,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.sdist import read_archive
from ansible_collections.fleetops.gunicorn.plugins.module_utils._release import (
    carried_proof as proof,
)

from tests.unit.plugins.module_utils._packages.paper_site import make_site, setup_py, wheel, write

OURS = {"common/__init__.py": "WHO = 'ours'\n", "common/api.py": "def who(): ...\n"}

Order = namedtuple("Order", "carry_from trust source")
Source = namedtuple("Source", "wheelhouse")
Python = namedtuple("Python", "minor")
Plan = namedtuple("Plan", "order carried path interpreter")


class Bed:
    def __init__(self, top, live="3.11", new="3.11"):
        self.top, self.new_python = top, new
        self.live = make_site(top / "venv", live)
        self.new = make_site(top / "releases/.build-1", new)
        self.asked = []
        self.again = None
        self.missing = {}
        self.pins = {}
        self.archives = {}

    def both(self, name, version, files, given=None, new_version=None):
        self.pins[name] = version
        wheel(self.live, name, version, files)
        wheel(self.new, name, new_version or version, files if given is None else given)

    def fetch(self, pins):
        self.asked.append(dict(pins))
        return str(self.top / "again"), self.missing

    def prove(self, trust=(), wheelhouse="", again=None):
        pins = tuple(sorted(self.pins.items()))
        order = Order(str(self.top / "venv"), tuple(trust), Source(wheelhouse))
        path = str(self.top / "releases/23.0.0-py3.11-00000000")
        plan = Plan(order, Carried(pins, (), (), False), path, Python(self.new_python))
        place = str(self.top / "releases/.build-1")
        if again is not None:
            return proof.prove_carried(plan, place, lambda pins: again, self.sources)
        return proof.prove_carried(plan, place, self.fetch, self.sources)

    def sources(self, name, version):
        assert version == self.pins[name]
        return self.archives.get(name)


@pytest.fixture
def bed(tmp_path):
    return Bed(tmp_path)


def test_what_is_the_same_is_proved_by_its_content(bed):
    bed.both("common", "1.0", OURS)
    told = bed.prove()
    assert list(told) == ["common==1.0"]
    assert bed.asked == []


def test_a_strangers_package_of_the_same_name_is_refused_by_name_and_files(bed):
    bed.both("common", "1.0", OURS, {"common/__init__.py": "WHO = 'them'\n", "common/x.py": ""})
    bed.both("flask", "2.0.3", {"flask/__init__.py": ""})
    with pytest.raises(FleetError) as error:
        bed.prove()
    text = str(error.value)
    assert "common 1.0 (common/__init__.py differs; common/api.py only in what runs" in text
    assert "common/x.py only in the index's" in text
    assert "flask" not in text
    assert "release_trust: [common]" in text and "app_requirements" in text
    assert bed.asked == []
    assert bed.prove(trust=["Common"]).keys() == {"flask==2.0.3"}


@pytest.mark.parametrize(
    "path, text",
    [
        ("flask/app.py", "patched = True\n"),
        ("flask/templates/base.html", "<!-- ours -->\n"),
        ("flask/cacert.pem", "our authority\n"),
        ("flask/py.typed", "x"),
    ],
)
def test_what_somebody_changed_in_place_is_refused(bed, path, text):
    files = dict.fromkeys(("flask/app.py", "flask/templates/base.html", "flask/cacert.pem"), "")
    files["flask/py.typed"] = ""
    bed.both("flask", "2.0.3", files)
    write(bed.live, path, text)
    with pytest.raises(FleetError, match=path + " differs"):
        bed.prove()


def test_what_honestly_differs_is_no_difference(bed):
    live = {
        "pkg/a.py": "a = 1\r\nb = 2\r\n",
        "pkg/_c.cpython-36m-x86_64-linux-gnu.so": "one",
        "pkg.libs/libx-0123.so.1": "",
        "pkg/__pycache__/a.cpython-36.pyc": "one",
        "pkg/only.pyc": "one",
        "pkg/__config__.py": "built here",
        "pkg/config.h": "built here",
        "pkg-1.0-nspkg.pth": "one",
    }
    given = {
        "pkg/a.py": "a = 1\nb = 2\n",
        "pkg/_c.cpython-311-x86_64-linux-gnu.so": "another",
        "pkg/_d.abi3.so": "",
        "pkg.libs/libx-4567.so.1": "",
    }
    bed.both("pkg", "1.0", live, given)
    assert list(bed.prove()) == ["pkg==1.0"]


def test_of_a_package_that_is_all_compiled_the_names_count(bed):
    bed.both("ujson", "1.0", {"ujson.cpython-36m-x86_64-linux-gnu.so": "1"}, {"ujson.so": "2"})
    bed.both("mine", "1.0", {"mine.so": "1"}, {"theirs.so": "2"})
    with pytest.raises(FleetError, match=r"mine 1.0 \(mine only in what runs") as error:
        bed.prove()
    assert "ujson" not in str(error.value)


def test_a_package_that_an_old_pip_installed_from_its_sources(bed):
    bed.pins["common"] = "1.0"
    setup_py(bed.live, "common", "1.0", OURS)
    wheel(bed.new, "common", "1.0", OURS)
    assert list(bed.prove()) == ["common==1.0"]
    write(bed.live, "common/api.py", "ours\n")
    with pytest.raises(FleetError, match="common/api.py differs"):
        bed.prove()


def test_a_package_without_a_list_is_compared_by_what_its_namesake_lists(bed):
    bed.pins["common"] = "1.0"
    write(bed.live, "common-1.0.egg-info", "Metadata-Version: 1.1\nName: common\nVersion: 1.0\n")
    write(bed.live, "common/__init__.py", "ours\n")
    wheel(bed.new, "common", "1.0", {"common/__init__.py": "theirs\n"})
    with pytest.raises(FleetError, match="common/__init__.py differs"):
        bed.prove()


def test_metadata_without_any_code_have_nothing_to_compare(bed):
    bed.pins["common"] = "1.0"
    write(bed.live, "common-1.0.egg-info", "Metadata-Version: 1.1\nName: common\nVersion: 1.0\n")
    wheel(bed.new, "common", "1.0", OURS)
    assert bed.prove() == {}


# --- another Python


def test_for_another_python_the_version_for_the_python_in_place_decides(tmp_path):
    bed = Bed(tmp_path, "3.6", "3.11")
    made = {"pkg/config.py": "built by 3.6\n", "pkg/a.py": ""}
    bed.both("pkg", "1.0", made, {"pkg/config.py": "built by 3.11\n", "pkg/a.py": ""})
    bed.both("moved", "2.0", {"moved.py": ""}, {"moved.py": "newer\n"}, "2.5")
    bed.both("same", "1.0", {"same.py": ""})
    again = make_site(tmp_path / "again", "3.6")
    wheel(again, "pkg", "1.0", made)
    wheel(again, "moved", "2.0", {"moved.py": ""})
    assert list(bed.prove()) == ["moved==2.0", "pkg==1.0", "same==1.0"]
    assert bed.asked == [{"pkg": "1.0", "moved": "2.0"}]
    write(bed.live, "moved.py", "patched\n")
    with pytest.raises(FleetError, match=r"moved 2.0 \(moved.py differs"):
        bed.prove()


def test_what_cannot_be_seen_is_not_taken_for_proved(tmp_path):
    bed = Bed(tmp_path, "3.6", "3.11")
    bed.both("pkg", "1.0", {"pkg.py": "1"}, {"pkg.py": "2"})
    bed.both("gone", "1.0", {"gone.py": "1"}, {"gone.py": "2"})
    wheel(make_site(tmp_path / "again", "3.6"), "pkg", "1.1", {"pkg.py": "1"})
    bed.missing = {"gone": "the index does not have it"}
    with pytest.raises(FleetError) as error:
        bed.prove(wheelhouse="/srv/wheels")
    text = str(error.value)
    assert "cannot be proved that the wheelhouse /srv/wheels gives what" in text
    assert "gone (the index does not have it)" in text
    assert "pkg (version 1.0 did not come)" in text


def release(top, proved):
    path = top / "releases/21.2.0-py3.6-11111111"
    make_site(path, "3.6")
    record = {"schema": 1, "id": path.name, "gunicorn": "21.2.0", "python_version": "3.6.15"}
    (path / "release.json").write_text(json.dumps(dict(record, freeze=[], proved=proved)))
    return path


def test_what_an_earlier_stage_proved_is_not_fetched_again(tmp_path, monkeypatch):
    bed = Bed(tmp_path, "3.6", "3.11")
    bed.both("pkg", "1.0", {"pkg.py": "1"}, {"pkg.py": "1"})
    told = bed.prove()
    write(bed.new, "pkg.py", "2")
    release(tmp_path, told)
    monkeypatch.setattr(proof, "why_not_believed", lambda path: "")
    assert bed.prove() == told
    assert bed.asked == []
    # Patched since.
    write(bed.live, "pkg.py", "3")
    make_site(tmp_path / "again", "3.6")
    with pytest.raises(FleetError):
        bed.prove()


def test_a_release_that_is_not_believed_proves_nothing(tmp_path, monkeypatch):
    bed = Bed(tmp_path, "3.11", "3.11")
    bed.both("pkg", "1.0", {"pkg.py": "1"}, {"pkg.py": "1"})
    release(tmp_path, bed.prove())
    write(bed.new, "pkg.py", "2")
    monkeypatch.setattr(proof, "why_not_believed", lambda path: "it was changed")
    with pytest.raises(FleetError):
        bed.prove()


def test_where_nothing_can_be_installed_again_nothing_is_proved(tmp_path):
    bed = Bed(tmp_path, "3.6", "3.11")
    bed.both("pkg", "1.0", {"pkg.py": "1"}, {"pkg.py": "2"})
    with pytest.raises(FleetError, match=r"of pkg \(no venv\)"):
        bed.prove(again=("", {"pkg": "no venv"}))


def test_without_anything_carried_over_there_is_nothing_to_prove(bed):
    plan = Plan(Order("", (), Source("")), None, "/x", Python("3.11"))
    assert proof.prove_carried(plan, "/x", bed.fetch, bed.sources) == {}


# --- the source archive


def packed(files, end=".tar.gz"):
    made = io.BytesIO()
    if end == ".zip":
        with zipfile.ZipFile(made, "w") as archive:
            for path, text in files.items():
                archive.writestr(path, text)
    else:
        with tarfile.open(fileobj=made, mode="w:gz") as archive:
            for path, text in files.items():
                info = tarfile.TarInfo(path)
                info.size = len(text)
                archive.addfile(info, io.BytesIO(text.encode()))
    return made.getvalue()


@pytest.mark.parametrize("end", [".tar.gz", ".zip"])
def test_what_was_built_from_the_source_archive_is_proved_by_it(bed, end):
    """A wheel and an archive of one version are not always made of the same source."""
    live = {"psutil/__init__.py": "of the archive\r\n", "psutil/a.py": "same\n"}
    bed.both(
        "psutil", "7.2.2", live, {"psutil/__init__.py": "of the wheel\n", "psutil/a.py": "same\n"}
    )
    files = {"psutil-7.2.2/src/psutil/__init__.py": "of the archive\n"}
    bed.archives["psutil"] = read_archive("psutil-7.2.2" + end, packed(files, end))
    assert list(bed.prove()) == ["psutil==7.2.2"]
    write(bed.live, "psutil/a.py", "patched\n")
    with pytest.raises(FleetError, match=r"psutil 7.2.2 \(psutil/a.py differs\)"):
        bed.prove()


def test_a_strangers_archive_explains_nothing(bed):
    bed.both("common", "1.0", OURS, {"common/__init__.py": "WHO = 'them'\n"})
    files = {
        "common-1.0/common/__init__.py": "WHO = 'them'\n",
        "x/uncommon/api.py": OURS["common/api.py"],
    }
    bed.archives["common"] = read_archive("x.tar.gz", packed(files))
    with pytest.raises(FleetError, match="common/__init__.py differs; common/api.py only in what"):
        bed.prove()


def test_an_archive_that_is_none_or_too_large_is_not_read(monkeypatch):
    with pytest.raises(ValueError):
        read_archive("x.tar.gz", b"no archive")
    monkeypatch.setattr(sdist, "LIMIT_OF_ALL", 10)
    with pytest.raises(ValueError):
        read_archive("x.zip", packed({"a": "x" * 11}, ".zip"))


def test_the_archive_is_found_where_packages_come_from(tmp_path):
    content = packed({"my_pkg-1.0/my_pkg.py": "x\n"})
    (tmp_path / "my_pkg-1.0.tar.gz").write_bytes(content)
    (tmp_path / "my_pkg-2.0.tar.gz").write_bytes(b"")
    assert "my_pkg.py" in sdist.find_in(str(tmp_path), "my-pkg", "1.0")
    assert sdist.find_in(str(tmp_path), "my-pkg", "3.0") is None

    def fetch(url):
        if not url.startswith("https://good/"):
            raise OSError("down")
        return "text/html", b'<a href="../f/my-pkg-1.0.tar.gz#sha256=ab">my-pkg-1.0.tar.gz</a>'

    asked = []

    def download(url, limit):
        asked.append(url)
        return content

    urls = ["https://down", "https://good/simple"]
    assert "my_pkg.py" in sdist.find_at(urls, "my-pkg", "1.0.0", fetch, download)
    assert asked == ["https://good/simple/f/my-pkg-1.0.tar.gz"]
    assert sdist.find_at(urls, "my-pkg", "1.1", fetch, download) is None
