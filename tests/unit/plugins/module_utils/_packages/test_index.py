import io
import json
import os
import threading
import zipfile

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages import (
    index as packages_index,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.index import (
    first_that_allows,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.pep440 import within

PAGE = """<!DOCTYPE html><html><body>
<a href="https://f/gunicorn-22.0.0-py3-none-any.whl#sha256=x" data-requires-python="&gt;=3.7">w</a>
<a href="../../gunicorn-22.0.0.tar.gz">s</a>
<a href="gunicorn-23.0.0.tar.gz" data-yanked="oops">s</a>
<a href="gunicorn-24.0.0rc1.tar.gz">s</a>
<a href="gunicorn_extra-99.0.0.tar.gz">s</a>
<a href="gunicorn-20.0.4.tar.gz">s</a>
</body></html>"""
JSON = {
    "meta": {"api-version": "1.1"},
    "files": [
        {"filename": "gunicorn-24.1.1-py3-none-any.whl", "requires-python": ">=3.10"},
        {"filename": "gunicorn-25.0.0.tar.gz", "yanked": "why"},
        {"filename": "gunicorn-9.0.zip", "yanked": False},
    ],
}


def page(url):
    return "text/html", PAGE.encode()


def test_a_page_and_a_json_say_the_same_things():
    answer = packages_index.ask(["https://x/simple"], "gunicorn", page)
    assert [tuple(v) for v in answer.versions] == [("22.0.0", ">=3.7"), ("20.0.4", "")]
    assert answer.error == ""
    answer = packages_index.ask(
        ["https://x"],
        "gunicorn",
        lambda url: ("application/vnd.pypi.simple.v1+json", json.dumps(JSON).encode()),
    )
    assert [tuple(v) for v in answer.versions] == [("24.1.1", ">=3.10"), ("9.0", "")]


def test_what_one_index_does_not_have_another_may():
    asked = []

    def fetch(url):
        asked.append(url)
        if "first" in url:
            raise OSError(111, "Connection refused")
        return page(url)

    answer = packages_index.ask(["https://first", "https://second/simple"], "gunicorn", fetch)
    assert asked == ["https://first/gunicorn/", "https://second/simple/gunicorn/"]
    assert answer.versions and answer.error == ""


@pytest.mark.parametrize(
    ("fetch", "word"),
    [
        (lambda url: ("application/json", b"[]"), "no list of files"),
        (lambda url: ("application/json", b"{"), "Expecting"),
        (lambda url: ("application/json", b"\xff"), "invalid start byte"),
        (lambda url: ("text/html", b"<html>"), "no index has a final version"),
    ],
)
def test_an_index_that_says_nothing_of_use_is_no_error_of_ours(fetch, word):
    answer = packages_index.ask(["https://x"], "gunicorn", fetch)
    assert answer.versions == ()
    assert word in answer.error


def test_it_is_over_in_time_though_nobody_answers():
    end = threading.Event()

    def never(url):
        end.wait(30)
        return page(url)

    answer = packages_index.ask_within(["https://u:s3cret@x/simple"], "gunicorn", never, 0.2)
    end.set()
    assert "no answer within 0.2 s" in answer.error
    assert "s3cret" not in str(answer)


def test_a_password_is_said_to_the_index_and_to_nobody_else():
    assert packages_index.split_user("https://u:p%40x@host:1/simple/") == (
        "https://host:1/simple/",
        "Basic dTpwQHg=",
    )
    assert packages_index.split_user("https://host/simple") == ("https://host/simple", "")

    def refuse(url):
        raise ValueError("no answer from " + url)

    assert "s3cret" not in str(packages_index.ask(["https://u:s3cret@x"], "gunicorn", refuse))


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, ["https://pypi.org/simple"]),
        ({"PIP_INDEX_URL": "https://a/", "UV_INDEX_URL": "https://a/"}, ["https://a"]),
        ({"UV_INDEX_URL": "https://b"}, ["https://b"]),
        (
            {"PIP_INDEX_URL": "https://a", "UV_EXTRA_INDEX_URL": "https://c d=https://d"},
            ["https://a", "https://c", "https://d"],
        ),
    ],
)
def test_it_asks_whom_the_installer_asks(environment, expected):
    assert packages_index.indexes(environment) == expected


def test_there_is_an_end_to_it():
    many = json.dumps({"files": [{"filename": f"gunicorn-{n}.0.zip"} for n in range(1000)]})
    answer = packages_index.ask(["https://x"], "gunicorn", lambda url: ("json", many.encode()))
    assert len(answer.versions) == packages_index.MAX_VERSIONS
    assert answer.versions[0].version == "999.0"


def test_an_index_in_a_directory(tmp_path):
    (tmp_path / "gunicorn").mkdir()
    (tmp_path / "gunicorn/index.html").write_text(PAGE)
    fetch = packages_index.fetcher(5)
    assert (
        packages_index.ask([tmp_path.as_uri()], "gunicorn", fetch).versions[0].version == "22.0.0"
    )
    assert packages_index.ask(["ftp://x"], "gunicorn", fetch).error


def wheel(version, requires, padding=0):
    """The bytes of a wheel, with its metadata last."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("app.py", os.urandom(padding))
        lines = ["Metadata-Version: 2.1", "Name: app", "Version: " + version]
        lines += ["Requires-Dist: " + each for each in requires]
        archive.writestr(f"app-{version}.dist-info/METADATA", "\n".join(lines) + "\n")
    return made.getvalue()


CAPS = {"2.9.2": "<22", "2.10.0": "<22", "2.10.1": "<23", "2.11.0": "<24", "3.0": "<24"}


class Index:
    """An index of one project; ``how``: how it tells of metadata."""

    def __init__(self, how, caps=None, pythons=None):
        self.how, self.caps, self.asked = how, caps or CAPS, []
        self.pythons = pythons or {}

    def page(self):
        names = [f"app-{version}-py3-none-any.whl" for version in self.caps]
        if self.how == "html":
            links = "".join(
                f'<a href="../../f/{name}#sha256=ab" data-core-metadata="true">{name}</a>'
                for name in names
            )
            return "text/html", links.encode()
        files = [{"filename": name, "url": f"../../f/{name}"} for name in names]
        for file in files if self.how == "json" else ():
            file["core-metadata"] = {"sha256": "ab"}
            version = file["filename"].split("-")[1]
            file["requires-python"] = self.pythons.get(version)
        return "application/vnd.pypi.simple.v1+json", json.dumps({"files": files}).encode()

    def version(self, url):
        assert url.startswith("https://h/f/app-")
        return url.split("-")[1]

    def fetch(self, url):
        self.asked.append(url)
        if url == "https://h/simple/app/":
            return self.page()
        assert url.endswith(".metadata")
        version = self.version(url)
        return "", f"Name: app\nRequires-Dist: gunicorn{self.caps[version]}\n".encode()

    def fetch_end(self, url):
        self.asked.append(url)
        version = self.version(url)
        whole = wheel(version, ["gunicorn" + self.caps[version]], 1 << 12)
        end = 100 if self.how == "short" else 1 << 10
        return len(whole), whole[-end:]

    def first(self, wanted, above="2.9.2", python=""):
        def allows(requires, _python):
            return within(wanted, requires[0].replace("gunicorn", ""))

        return first_that_allows(
            ["https://h/simple"], "app", above, allows, self.fetch, self.fetch_end, python
        )


@pytest.mark.parametrize("how", ["html", "json", "wheels"])
def test_which_version_lifts_a_cap(how):
    assert Index(how).first("23.0.0") == "app 2.11.0 does, as the first"
    assert Index(how).first("22.0.0") == "app 2.10.1 does, as the first"
    assert Index(how).first("24.1.1") == "no version of app does, up to 3.0"


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        ("22.0.0", "app 2.10.1 does, as the first"),
        ("23.0.0", "no version of app that Python 3.9.18 can take does, up to 2.10.1"),
    ],
)
def test_a_version_that_the_python_cannot_take_is_no_way_out(wanted, text):
    index = Index("json", pythons={"2.11.0": ">=3.10", "3.0": ">=3.10"})
    assert index.first(wanted, python="3.9.18") == text


def test_no_later_version_for_this_python():
    index = Index("json", pythons=dict.fromkeys(CAPS, ">=3.10"))
    text = "no later version of app that Python 3.9.18 can take is there"
    assert index.first("23.0.0", python="3.9.18") == text


def test_an_index_without_metadata_tells_nothing():
    assert Index("short").first("23.0.0") == ""
    assert Index("json").first("23.0.0", above="3.0") == ""


def test_metadata_of_few_versions_are_asked_for():
    caps = {f"1.{n}": "<22" if n < 700 else "<24" for n in range(1000)}
    index = Index("json", caps)
    assert "does" in index.first("23.0.0", above="1.0")
    assert len(index.asked) <= 11
