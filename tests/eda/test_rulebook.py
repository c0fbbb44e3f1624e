# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A real ansible-rulebook (`make eda`) with the rulebook that ships, a real webhook, and check.yml.

The fleet is one server where no gunicorn runs: that it was looked at is all that matters here.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
RULEBOOK = "fleetops.gunicorn.check_on_reentrant"
TOKEN = "of-this-test"
# What a stranger may have had logged: a template, and a word to be found again.
LINE = "{{ lookup('ansible.builtin.pipe', 'touch stranger') }} reentrant call inside <_io.Buffered"
ALERT = {"status": "firing", "labels": {"alertname": "GunicornReentrant", "instance": "stranger"}}
EVENTS = {
    "a record": {"message": f"stranger {LINE}"},
    "a list of records": [{"message": "fine"}, {"message": f"stranger {LINE}"}],
    "an alert": {"status": "firing", "alerts": [ALERT]},
}
OTHERS: tuple[Any, ...] = (
    {"message": "all is well"},
    [{"message": "all is well"}],
    {"status": "resolved", "alerts": [ALERT]},
    {"status": "firing", "alerts": [{"status": "firing", "labels": {"alertname": "DiskFull"}}]},
)


class Listening:
    def __init__(self, place: Path, port: int, process: subprocess.Popen[bytes]) -> None:
        self.place, self.port, self.process = place, port, process

    @property
    def log(self) -> str:
        return (self.place / "log").read_text()

    def checks(self) -> list[Path]:
        """What each check that ran has written."""
        return sorted(self.place.glob("check-*.json"))

    def send(self, event: Any, token: str = TOKEN) -> int:
        """The answer's status; 0 if nobody listens."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/logs",
            json.dumps(event).encode(),
            {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    def until(self, happened: Callable[[], bool], seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self.process.poll() is None:
            if happened():
                return True
            time.sleep(0.5)
        return happened()


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[Listening]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    told = "{{ 'told' if 'stranger' in ansible_eda | default('') | string else 'clean' }}"
    fleet = {
        "ansible_connection": "local",
        "ansible_python_interpreter": "{{ ansible_playbook_python }}",
        "app_home": str(tmp_path / "app"),
        "app_program": "app",
        "app_health_url": "http://127.0.0.1:9/",
        "load_balancer_provider": "none",
        "load_balancer_backends": ["app"],
        "rollout_accept_outage": True,
        "check_file": f"{tmp_path}/check-{told}-{{{{ (now().timestamp() * 1000) | int }}}}.json",
    }
    inventory = {"all": {"vars": fleet, "children": {"web": {"hosts": {"web1": {}}}}}}
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump(inventory))
    (tmp_path / "vars.yml").write_text(
        yaml.safe_dump({"webhook_token": TOKEN, "webhook_port": port})
    )
    tools = f"{ROOT / '.venv-eda/bin'}:{Path(sys.executable).parent}"
    environment = {
        **{name: value for name, value in os.environ.items() if "ANSIBLE" not in name},
        "PATH": f"{tools}:{os.environ['PATH']}",
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"),
        "ANSIBLE_HOME": str(tmp_path / "home"),
        "ANSIBLE_NOCOLOR": "1",
        "PYTHONPATH": "",
    }
    command = [str(ROOT / ".venv-eda/bin/ansible-rulebook"), "-r", RULEBOOK]
    command += ["-i", "hosts.yml", "-e", "vars.yml"]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            command, cwd=tmp_path, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
    here = Listening(tmp_path, port, process)
    try:
        assert here.until(lambda: here.send({}, "wrong") == 401, 240), here.log[-3000:]
        yield here
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(30)
        process.kill()
        process.wait()


@pytest.mark.parametrize("name", EVENTS)
def test_it_runs_the_check_once_and_tells_it_nothing(listening: Listening, name: str) -> None:
    assert [listening.send(event) for event in OTHERS] == [200] * len(OTHERS)
    assert listening.send(EVENTS[name], token="wrong") == 401
    time.sleep(10)
    assert not listening.checks(), listening.log[-3000:]

    assert [listening.send(EVENTS[name]) for _twice in range(2)] == [200, 200]
    assert listening.until(lambda: bool(listening.checks()), 240), listening.log[-3000:]
    time.sleep(20)
    (check,) = listening.checks()
    assert check.name.startswith("check-clean-"), "words of the event have reached the playbook"
    assert json.loads(check.read_text())["hosts"][0]["host"] == "web1"
    assert not list(listening.place.rglob("stranger"))
