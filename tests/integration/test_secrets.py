# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Secrets planted wherever a fleet has some, and everything that a run says or leaves behind."""

from __future__ import annotations

import base64
import http.server
import io
import json
import os
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from pip._internal.models.index import PyPI
from supervisor.xmlrpc import SupervisorTransport

from demo import fleet as fleets
from tests.integration.conftest import ROOT, Bed, Run

# One word for each, so that a find says what leaked.
WORDS = {
    "index": "planted-index-pw",
    "extra": "planted-extra-token",
    "requirement": "planted-requirement-pw",
    "requirement_token": "planted-requirement-token",
    "requirement_query": "planted-requirement-query",
    "git": "planted-git-token",
    "environment": "planted-environment",
    "supervisor": "planted-supervisor-pw",
    "argument": "planted-argument",
    "argument_url": "planted-argument-url",
    "log": "planted-log",
    "log_url": "planted-log-url",
}
# Where the fleet's owner has put them himself.
OWN = ("supervisord.conf", "app.py", "app.log")
SAID = (
    f"connect with api_token={WORDS['log']} to amqp://app:{WORDS['log_url']}@mq.example.com/ FAILED"
)
APP = f"""
import os, sys
print({SAID!r}, file=sys.stderr, flush=True)
if os.path.exists(os.path.join(os.path.dirname(os.path.abspath(__file__)), "broken")):
    raise RuntimeError("no login with " + os.environ["DATABASE_PASSWORD"])
"""


# --- an index that wants a password ---------------------------------------------------------------


def wheel(name: str) -> bytes:
    """A package with nothing in it."""
    info = f"{name}-1.0.dist-info"
    files = {
        f"{name}.py": "",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{file},,\n" for file in [*files, f"{info}/RECORD"])
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for path, text in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(path, text)
    return file.getvalue()


def real_index() -> str:
    """The index that this machine's pip asks."""
    command = [sys.executable, "-m", "pip", "config", "get", "global.index-url"]
    asked = subprocess.run(command, capture_output=True, text=True, check=False)
    return f"{(asked.stdout.strip() or PyPI.simple_url).rstrip('/')}/"


REAL_INDEX = real_index()


class Index(http.server.BaseHTTPRequestHandler):
    """``/index/`` leads to the real one, ``/files/`` has wheels; each for who knows a word."""

    protocol_version = "HTTP/1.1"
    known: set[str] = set()

    def do_GET(self) -> None:
        scheme, _space, value = self.headers.get("Authorization", "").partition(" ")
        login = base64.b64decode(value).decode() if scheme == "Basic" else ""
        words = {word for word in WORDS.values() if word in login or word in self.path}
        self.known |= words
        place, name = self.path.partition("?")[0].strip("/").partition("/")[::2]
        if not words:
            self.answer(401, b"", {"WWW-Authenticate": 'Basic realm="index"'})
        elif place == "files":
            self.answer(200, wheel(name.split("-")[0]), {})
        elif place == "extra":
            self.answer(404, b"", {})
        else:
            self.answer(302, b"", {"Location": f"{REAL_INDEX}{name}/"})

    do_HEAD = do_GET

    def answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for key, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_words: object) -> None:
        pass


@pytest.fixture(scope="module")
def index() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Index)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


# --- a fleet with secrets -------------------------------------------------------------------------


@pytest.fixture(scope="module", autouse=True)
def _planted() -> Iterator[None]:
    """The demo's fleet, with secrets where a fleet has them; before `bed` makes it."""
    plain = fleets.template

    def template(file: str, **words: object) -> str:
        text = plain(file, **words)
        if file == "app.conf":
            arguments = f"--env PAYMENT_TOKEN={WORDS['argument']}"
            arguments += f" --env BROKER=amqp://app:{WORDS['argument_url']}@mq.example.com/"
            text = text.replace("--workers", f"{arguments} --workers")
            secret = f'DATABASE_PASSWORD="{WORDS["environment"]}"'
            text = text.replace("environment=", f"environment={secret},")
            assert text.count("planted") == 3
        if file == "supervisord.conf":
            login = f"username=operator\npassword={WORDS['supervisor']}\n"
            text = text.replace("[unix_http_server]\n", f"[unix_http_server]\n{login}")
            assert login in text
        return text

    def transport(_user: object, _password: object, url: str) -> SupervisorTransport:
        return SupervisorTransport("operator", WORDS["supervisor"], url)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fleets, "template", template)
        patch.setattr(fleets, "SupervisorTransport", transport)
        yield


class Secretive(NamedTuple):
    """The fleet, and where all that a run leaves goes to."""

    bed: Bed
    places: Path
    files: Path
    inputs: dict[str, object]

    def run(self, name: str, *arguments: str, **inputs: object) -> Run:
        run = self.bed.playbook(
            name,
            "-vvv",
            "--diff",
            *arguments,
            callback="fleetops.gunicorn.story",
            **{**self.inputs, **inputs},
        )
        assert leaks({"output": run.text.encode()}) == []
        return run

    def left(self) -> dict[str, bytes]:
        """Every file that a run has written, on hosts and controller."""
        found = {}
        for top in (self.bed.fleet.root, self.places):
            for path in sorted(top.rglob("*")):
                mine = path.name in OWN or "__pycache__" in path.parts
                if path.is_file() and not path.is_symlink() and not mine:
                    found[str(path)] = path.read_bytes()
        return found


def on_controller(file: Path) -> str:
    """A file as a playbook is told that it is not on the server."""
    return os.path.relpath(file, ROOT)


def leaks(texts: dict[str, bytes]) -> list[str]:
    """Which word stands where, with what is around it."""
    found = []
    for where, text in texts.items():
        for name, word in WORDS.items():
            at = text.find(word.encode())
            if at >= 0:
                line = text[max(0, at - 200) : at + 60].decode(errors="replace")
                found.append(f"{name} in {where}: ...{line}...")
    return found


@pytest.fixture(scope="module")
def fleet(bed: Bed, index: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secretive]:
    places = tmp_path_factory.mktemp("places")
    files = tmp_path_factory.mktemp("files")
    requirements = files / "requirements.txt"
    requirements.write_text(
        "flask==2.0.3\nwerkzeug==2.0.3\n"
        f"--extra-index-url http://reader:{WORDS['extra']}@{index}/extra/\n"
        f"planted-one @ http://git:{WORDS['requirement']}@{index}/files/planted_one-1.0-py3-none-any.whl\n"
        f"planted-two @ http://{WORDS['requirement_token']}@{index}/files/planted_two-1.0-py3-none-any.whl"
        f"?access_token={WORDS['requirement_query']}\n"
    )
    (files / "git.txt").write_text(
        f"flask==2.0.3\nprivate @ git+http://{WORDS['git']}@{index}/private.git\n"
    )
    (files / "one.txt").write_text("flask==2.0.3")
    for host in ("web1", "web2"):
        with (bed.home(host) / "app.py").open("a") as file:
            file.write(APP)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("ANSIBLE_LOCAL_TEMP", "ANSIBLE_REMOTE_TMP", "TMPDIR"):
            (places / name).mkdir()
            patch.setenv(name, str(places / name))
        patch.setenv("FLEETOPS_REPORT_DIRECTORY", str(places / "reports"))
        patch.setenv("ANSIBLE_LOG_PATH", str(places / "ansible.log"))
        # So that nothing of an earlier run is taken for this one's.
        patch.setenv("UV_CACHE_DIR", str(files / "uv"))
        patch.setenv("PIP_CACHE_DIR", str(files / "pip"))
        yield Secretive(
            bed,
            places,
            files,
            {
                "app_requirements": on_controller(requirements),
                "release_index_url": f"http://reader:{WORDS['index']}@{index}/index/",
                "release_extra_index_urls": [f"http://{WORDS['extra']}@{index}/extra/"],
                "service_supervisor_username": "operator",
                "service_supervisor_password": WORDS["supervisor"],
                "gate_soak": 2,
                "gate_interval": 1,
            },
        )


# --- runs of every kind, in the order in which a fleet sees them ----------------------------------


def test_a_plan_tells_no_secret(fleet: Secretive) -> None:
    run = fleet.run("upgrade.yml", "--check", "-l", "web1")
    assert run.code == 0, run.text[-3000:]
    assert '"requirements": "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"' in run.text


def test_a_build_that_cannot_have_its_source_tells_no_secret(fleet: Secretive) -> None:
    git = on_controller(fleet.files / "git.txt")
    run = fleet.run("upgrade.yml", "-l", "web1", app_requirements=git)
    assert run.code != 0
    assert "has no private" in run.text, run.text[-3000:]


def test_a_release_that_does_not_boot_tells_no_secret(fleet: Secretive) -> None:
    broken = fleet.bed.home("web1") / "broken"
    broken.touch()
    try:
        run = fleet.run("upgrade.yml", "-l", "web1")
    finally:
        broken.unlink()
    assert run.code != 0
    assert "no login with ***" in run.text, run.text[-3000:]


def test_an_upgrade_tells_no_secret(fleet: Secretive) -> None:
    run = fleet.run("upgrade.yml", "-l", "web1")
    assert run.code == 0, run.text[-3000:]
    assert fleet.bed.version("web1")["gunicorn"] == "23.0.0"
    # All of them were really used.
    wanted = ("index", "extra", "requirement", "requirement_token", "requirement_query")
    assert {WORDS[name] for name in wanted} <= Index.known


def test_a_gate_that_fails_shows_its_lines_without_secrets(fleet: Secretive) -> None:
    ours = {"name": "ours", "regex": "FAILED", "severity": "critical", "tolerance": 0}
    run = fleet.run(
        "upgrade.yml",
        "-l",
        "web2",
        gate_log_patterns=[ours],
        rollout_to="21.2.0",
        app_requirements=on_controller(fleet.files / "one.txt"),
    )
    assert run.code != 0
    # What is equal to a hidden value is hidden as well: a file of one line must not be.
    assert '"flask==2.0.3"' in run.text
    assert "connect with api_token=***" in run.text, run.text[-3000:]


def test_the_other_playbooks_tell_no_secret(fleet: Secretive) -> None:
    for words in (["check.yml", "-l", "web1"], ["status.yml"], ["rollback.yml", "-l", "web1"]):
        run = fleet.run(*words)
        assert run.code == 0, run.text[-3000:]
        assert "PAYMENT_TOKEN=***" in run.text, "the command line was not even shown"


def test_nothing_secret_is_left_behind(fleet: Secretive) -> None:
    left = fleet.left()
    names = {Path(path).name for path in left}
    assert {"release.json", ".history.json", "ansible.log", "direct_url.json"} <= names
    assert {".html", ".json", ".xml"} <= {Path(name).suffix for name in names}, "no report"
    assert leaks(left) == []


def test_this_test_would_find_one(fleet: Secretive) -> None:
    """Each word really is where the fleet's owner has put it, and would be seen elsewhere."""
    host = fleet.bed.fleet.hosts["web1"].home
    own = {name: (host / name).read_bytes() for name in ("supervisord.conf", "app.log")}
    found = {line.split()[0] for line in leaks(own)}
    assert found >= {"environment", "supervisor", "argument", "argument_url", "log", "log_url"}
    release = next(path for path in fleet.left() if path.endswith("release.json"))
    record = json.loads(Path(release).read_text())
    assert any("***@" in line for line in record["inputs"]["requirements"])
