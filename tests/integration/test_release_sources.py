# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where packages come from: a wheelhouse, an index that wants a password; and the role."""

import base64
import hashlib
import http.server
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.integration import release_support as support

REQUIREMENTS = "itsdangerous==2.0.1\ngunicorn==20.0.1\n"
ALONE = {"boot_test": False}
SECRET = "s3cr3t-of-the-index"


@pytest.fixture
def app(tmp_path):
    with support.home(tmp_path / "app") as place:
        yield place


@pytest.fixture(scope="module")
def wheelhouse(tmp_path_factory):
    """One for two Pythons, as the module makes them."""
    top = tmp_path_factory.mktemp("wheels")
    with support.home(top / "app") as place:
        houses = {}
        for version, gunicorn in (("3.6", "21.2.0"), ("3.11", "23.0.0")):
            order = {
                "state": "wheelhouse",
                "path": str(top / version),
                "gunicorn": gunicorn,
                "python": version,
                "requirements": REQUIREMENTS,
            }
            planned = place.good(_check=True, **order)
            assert planned["changed"] and not (top / version).exists()
            assert place.good(**order)["changed"]
            assert not place.good(**order)["changed"]
            houses[version] = top / version
        assert sorted(p.name for p in top.iterdir() if p.name[0] == ".") == []
        yield houses


@pytest.mark.parametrize(
    "version, gunicorn, installer",
    [("3.6", "21.2.0", "pip"), ("3.11", "23.0.0", "pip"), ("3.11", "23.0.0", "uv")],
)
def test_offline(app, wheelhouse, version, gunicorn, installer):
    nowhere = f"http://127.0.0.1:{support.free_port()}/simple"
    outside = {"PIP_INDEX_URL": nowhere, "UV_INDEX_URL": nowhere, "UV_OFFLINE": "1"}
    order = {
        "gunicorn": gunicorn,
        "python": version,
        "requirements": REQUIREMENTS,
        "wheelhouse": str(wheelhouse[version]),
        "installer": installer,
        **ALONE,
    }
    result = app.good(env=outside, **order)
    assert result["packages"]["gunicorn"] == gunicorn
    assert result["packages"]["itsdangerous"] == "2.0.1"
    assert app.good(env=outside, **order)["changed"] is False


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_a_wheelhouse_that_lacks_something(app, wheelhouse, installer):
    order = {"python": "3.11", "wheelhouse": str(wheelhouse["3.11"]), "installer": installer}
    message = app.bad(gunicorn="22.0.0", requirements=REQUIREMENTS, **order, **ALONE)
    assert f"the wheelhouse {wheelhouse['3.11']} has no gunicorn 22.0.0" in message
    assert "23.0.0" in message
    message = app.bad(gunicorn="23.0.0", requirements="flask==2.0.3\n", **order, **ALONE)
    assert "flask" in message and "wheelhouse" in message


def test_a_wheelhouse_without_the_pip_that_3_6_needs(app, wheelhouse, tmp_path):
    bare = tmp_path / "bare"
    bare.mkdir()
    for wheel in wheelhouse["3.6"].glob("*.whl"):
        if not wheel.name.startswith("pip-"):
            (bare / wheel.name).write_bytes(wheel.read_bytes())
    message = app.bad(
        gunicorn="21.2.0", python="3.6", requirements=REQUIREMENTS, wheelhouse=str(bare), **ALONE
    )
    assert "pip-21.3.1" in message and "pip download" in message


@pytest.fixture
def index(wheelhouse):
    """A package index that wants a password, and looks who tells it to everybody."""
    seen = {"requests": 0, "refused": 0, "told": []}
    wheels = {p.name: p for p in wheelhouse["3.11"].glob("*.whl")}
    wanted = "Basic " + base64.b64encode(f"joe:{SECRET}".encode()).decode()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            for name in filter(str.isdigit, os.listdir("/proc")):
                try:
                    line = Path(f"/proc/{name}/cmdline").read_bytes()
                except OSError:
                    continue
                if SECRET.encode() in line:
                    seen["told"].append(line)
            seen["requests"] += 1
            if self.headers.get("Authorization") != wanted:
                seen["refused"] += 1
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="x"')
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            name = self.path.strip("/").split("/")[-1]
            if name in wheels:
                body, kind = wheels[name].read_bytes(), "application/octet-stream"
            else:
                body = "".join(
                    f'<a href="/files/{w}#sha256={hashlib.sha256(p.read_bytes()).hexdigest()}">'
                    f"{w}</a>"
                    for w, p in wheels.items()
                    if w.split("-")[0].lower().replace("_", "-") == name
                ).encode()
                kind = "text/html"
            self.send_response(200 if body else 404)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_HEAD = do_GET

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1], seen
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_the_password_of_an_index_is_told_to_nobody(app, index, installer):
    port, seen = index
    order = {"gunicorn": "23.0.0", "python": "3.11", "requirements": REQUIREMENTS, **ALONE}
    order.update(installer=installer, index_url=f"http://joe:{SECRET}@127.0.0.1:{port}/simple")
    outcome = app.module(env={"UV_NO_CACHE": "1", "PIP_NO_CACHE_DIR": "1"}, **order)
    assert not outcome.failed, outcome.msg
    assert seen["requests"] > 2
    assert seen["told"] == []
    result = {k: v for k, v in outcome.result.items() if k != "invocation"}
    assert SECRET not in json.dumps(result)
    for top, _folders, names in os.walk(app.path / "releases"):
        for name in names:
            assert SECRET.encode() not in (Path(top) / name).read_bytes(), name

    wrong = f"http://joe:wrong-password@127.0.0.1:{port}/simple"
    message = app.bad(**dict(order, gunicorn="22.0.0", index_url=wrong))
    assert "are its credentials good?" in message
    assert "wrong-password" not in message


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_the_hosts_own_pip_configuration_holds_for_both(app, wheelhouse, tmp_path, installer):
    config = tmp_path / "pip.conf"
    config.write_text(
        f"[global]\nindex-url = http://127.0.0.1:{support.free_port()}/simple\n"
        f"find-links = {wheelhouse['3.11']}\n"
    )
    outcome = app.module(
        env={"PIP_CONFIG_FILE": str(config), "PIP_RETRIES": "0", "UV_HTTP_RETRIES": "0"},
        gunicorn="23.0.0",
        python="3.11",
        requirements="a-package-of-ours\n",
        installer=installer,
        **ALONE,
    )
    assert outcome.failed
    assert "the package index cannot be reached" in outcome.msg


# --- the role -----------------------------------------------------------------------------------

PLAY = """
- hosts: web
  gather_facts: false
  tasks:
    - ansible.builtin.include_role:
        name: fleetops.gunicorn.release
      vars:
        release_stage: "{{ stage }}"
    - ansible.builtin.debug:
        msg: "RESULT {{ {'host': inventory_hostname, 'id': _release_result.id,
                        'changed': _release_result.changed,
                        'packages': _release_result.packages} | to_json }}"
"""


class Play:
    """Two servers on this machine, each with a home of its own."""

    def __init__(self, directory):
        self.path = Path(directory)
        hosts = {}
        for name in ("web1", "web2"):
            support.Home(self.path / name)
            hosts[name] = {
                "ansible_connection": "local",
                "ansible_python_interpreter": sys.executable,
                "app_home": str(self.path / name),
            }
        common = {"app_program": "app", "app_health_url": "http://127.0.0.1:1/healthz"}
        inventory = {"web": {"hosts": hosts, "vars": common}}
        (self.path / "hosts.json").write_text(json.dumps(inventory))
        (self.path / "play.yml").write_text(PLAY)
        (self.path / "requirements.txt").write_text(REQUIREMENTS)
        self.stage = {"gunicorn": "23.0.0", "python": "3.11"}

    def run(self, *arguments, **variables):
        variables = dict({"release_boot_test": False, "stage": self.stage}, **variables)
        env = dict(
            support.environment(),
            ANSIBLE_COLLECTIONS_PATH=str(support.COLLECTIONS),
            ANSIBLE_HOME=str(self.path / "ansible"),
            ANSIBLE_NOCOLOR="1",
            ANSIBLE_LOCALHOST_WARNING="0",
            PWD=str(self.path),
        )
        done = subprocess.run(
            [
                Path(sys.executable).parent / "ansible-playbook",
                "-i",
                "hosts.json",
                "play.yml",
                "-e",
                json.dumps(variables),
                *arguments,
            ],
            cwd=self.path,
            env=env,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert "Traceback" not in done.stdout + done.stderr, done.stdout + done.stderr
        return done

    def good(self, *arguments, **variables):
        done = self.run(*arguments, **variables)
        assert done.returncode == 0, done.stdout + done.stderr
        lines = [
            line.split("RESULT ", 1)[1] for line in done.stdout.splitlines() if "RESULT" in line
        ]
        results = [json.loads(json.loads('"' + line.rstrip().rstrip('"') + '"')) for line in lines]
        # On a busy machine web2 may be told first.
        return sorted(results, key=lambda result: result["host"])

    def bad(self, *arguments, **variables):
        done = self.run(*arguments, **variables)
        assert done.returncode != 0, done.stdout
        for name in ("web1", "web2"):
            assert not list((self.path / name).glob("releases/[0-9]*"))
        return " ".join((done.stdout + done.stderr).split())


@pytest.fixture
def play(tmp_path):
    return Play(tmp_path)


def test_role_from_a_file_on_the_controller(play):
    planned = play.good("--check", "--diff", app_requirements="requirements.txt")
    assert [p["changed"] for p in planned] == [True, True]
    assert not (play.path / "web1/releases").exists()
    built = play.good(app_requirements="requirements.txt")
    assert [b["changed"] for b in built] == [True, True]
    assert [b["id"] for b in built] == [p["id"] for p in planned]
    assert built[0]["packages"]["itsdangerous"] == "2.0.1"
    again = play.good(app_requirements="requirements.txt")
    assert [a["changed"] for a in again] == [False, False]


def test_role_bad_input(play):
    message = play.bad(app_requirements="no-such-file.txt")
    assert "Requirements file no-such-file.txt is not on the controller" in message
    message = play.bad(app_requirements="/no/such/file.txt")
    assert "/no/such/file.txt" in message and "No such file" in message
    message = play.bad(stage={"gunicorn": "23.0.0", "python": "3.99"})
    assert "Python 3.99 was not found" in message
    message = play.bad(
        stage={"gunicorn": "23.0.0", "python": "3.99"},
        release_python_provider="uv",
        release_python_mirror="file:///no/such/mirror",
    )
    assert "3.99" in message
    message = play.bad(stage={"gunicorn": "23.0.0", "pyhton": "3.11"})
    assert "pyhton" in message
    message = play.bad(stage={"gunicorn": "23.0.0"})
    assert "is no usable Python" in message


def test_role_ships_the_wheels_that_it_built_once(play):
    wheels = play.path / "wheels"
    order = {
        "release_wheelhouse": str(wheels),
        "release_wheelhouse_ship": True,
        "app_requirements": "requirements.txt",
    }
    assert [p["changed"] for p in play.good("--check", **order)] == [True, True]
    assert not wheels.exists()
    done = play.run(**order)
    assert done.returncode == 0, done.stdout + done.stderr
    # Both are of one kind: one archive, and only the first host asked the index.
    assert len(list(wheels.glob("*.tar.gz"))) == 1
    recaps = [line for line in done.stdout.splitlines() if "skipped=" in line]
    assert len(recaps) == 2 and all("failed=0" in line for line in recaps)
    built_on = done.stdout.split("wheelhouse | Build them]")[1].split("TASK")[0]
    assert "web1" in built_on and "changed: [web2]" not in built_on
    for name in ("web1", "web2"):
        assert list((play.path / name / "releases").glob("23.0.0-py3.11-*"))

    assert [a["changed"] for a in play.good(**order)] == [False, False]
    # From now on no index is needed: a new host gets what is on the controller.
    support.remove(play.path / "web2/releases")
    nowhere = f"http://127.0.0.1:{support.free_port()}/simple"
    again = play.good(**dict(order, release_index_url=nowhere))
    assert [a["changed"] for a in again] == [False, True]
