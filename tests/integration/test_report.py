# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report of real runs: that it is written, what it says, and how a real browser shows it."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import pytest

from tests.integration.report_support import SCHEMES, WIDTHS, Browser, browser, chromium
from tests.unit.plugins.plugin_utils._report.test_page import Page

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = "<script>document.title='broken'</script>"
KINDS = ("html", "json", "junit.xml", "md")

PLAN = {
    "stages": [{"number": 1, "gunicorn": "23.0.0", "python": "3.11", "requirements": ""}],
    "steps": [],
    "problems": [],
}


# -- that it is written ----------------------------------------------------------------------


class Told(NamedTuple):
    code: int
    lines: list[str]


def play(directory: Path, *tasks: dict[str, object], **environment: str) -> Told:
    """Run tasks on a host that is this machine, with our callback."""
    book = [{"hosts": "localhost", "gather_facts": False, "name": "Play", "tasks": list(tasks)}]
    (directory / "site.yml").write_text(json.dumps(book))
    # Nobody's configuration but this one.
    (directory / "ansible.cfg").write_text("[defaults]\n")
    run = subprocess.run(
        [str(Path(sys.executable).parent / "ansible-playbook"), "-i", "localhost,", "site.yml"],
        cwd=directory,
        env={
            **os.environ,
            "ANSIBLE_CONFIG": str(directory / "ansible.cfg"),
            "ANSIBLE_HOME": str(directory / ".ansible"),
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"),
            "ANSIBLE_STDOUT_CALLBACK": "fleetops.gunicorn.story",
            "ANSIBLE_NOCOLOR": "1",
            "FLEETOPS_REPORT_DIRECTORY": ".cache/reports",
            **environment,
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return Told(run.returncode, [line for line in run.stdout.splitlines() if line] or [run.stderr])


PLANNED = {"name": "x | Plan", "ansible.builtin.set_fact": {"_rollout_plan": PLAN}}
FAILED = {"name": "x | Break", "ansible.builtin.fail": {"msg": f"it broke {SCRIPT}"}}
SAID = {"name": "x | Say", "ansible.builtin.debug": {"msg": "hello"}}


def test_a_run_that_fails_says_where_its_report_is_and_last_why(tmp_path):
    told = play(tmp_path, PLANNED, FAILED)
    assert told.code == 2
    where = next(line for line in told.lines if line.startswith("Report: "))
    assert told.lines[-1].startswith("F-OTHER: ")
    page = told.lines[-1].partition("What now: ")[2].partition("#")[0]
    assert (tmp_path / page).is_file()
    assert told.lines[-2].startswith("STOPPED, since localhost failed: x | Break: it broke")
    assert told.lines[-3] == where
    path = tmp_path / where.removeprefix("Report: ")
    assert path.parent == tmp_path / ".cache/reports" and path.name.endswith("Z-site.html")
    files = sorted(path.parent.iterdir())
    assert [file.name for file in files] == [f"{path.stem}.{kind}" for kind in KINDS]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    data = json.loads(path.with_suffix(".json").read_text())
    assert data["outcome"]["reason"] == f"x | Break: it broke {SCRIPT}"
    assert data["people"]["controller"] and data["people"]["user"]
    assert data["version"]


def test_a_run_that_goes_well_has_one_too(tmp_path):
    told = play(tmp_path, PLANNED, FLEETOPS_REPORT_DIRECTORY=str(tmp_path / "here"))
    assert told.code == 0
    assert told.lines[-2].startswith("Report: here/") and told.lines[-1] == "Done."


def test_only_so_many_are_kept(tmp_path):
    for _number in range(2):
        play(tmp_path, PLANNED, FLEETOPS_REPORT_KEEP="1")
        time.sleep(1.1)
    assert len(list((tmp_path / ".cache/reports").iterdir())) == 4


@pytest.mark.parametrize("where", ["", "  "])
def test_none_where_none_is_wanted(tmp_path, where):
    told = play(tmp_path, PLANNED, FLEETOPS_REPORT_DIRECTORY=where)
    assert told.lines[-1] == "Done." and "Report" not in " ".join(told.lines)
    assert not (tmp_path / ".cache").exists()


def test_none_of_what_only_looks(tmp_path):
    told = play(tmp_path, SAID)
    assert told.code == 0 and not (tmp_path / ".cache").exists()


@pytest.mark.parametrize("task", [FAILED, SAID])
def test_a_report_that_cannot_be_written_is_a_line_and_no_failure(tmp_path, task):
    (tmp_path / "file").write_text("")
    without = play(tmp_path, PLANNED, task, FLEETOPS_REPORT_DIRECTORY="")
    told = play(tmp_path, PLANNED, task, FLEETOPS_REPORT_DIRECTORY="file/reports")
    assert told.code == without.code
    assert told.lines[-1] == without.lines[-1]
    # Behind it is how the run ended; of one that failed, in two lines.
    said = told.lines[-3 if task is FAILED else -2]
    assert said.startswith("No report could be written to file/reports: NotADirectory")


# -- what it says of a real fleet -------------------------------------------------------------


def reported(bed, directory: Path, playbook: str, **inputs: object) -> Path:
    """Run a playbook on the canary; returns the page of its report."""
    before = set(directory.glob("*.html"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FLEETOPS_REPORT_DIRECTORY", str(directory))
        run = bed.ended(
            bed.start(
                playbook,
                "-l",
                "web1",
                callback="fleetops.gunicorn.story",
                gate_soak=3,
                gate_interval=1,
                **inputs,
            )
        )
    found = set(directory.glob("*.html")) - before
    assert len(found) == 1, run.text[-3000:]
    return found.pop()


@pytest.fixture(scope="module")
def reports(bed, tmp_path_factory) -> tuple[Path, Path, Path]:
    """Of a run that a gate stopped, of one that went well after it, and of the way back."""
    directory = tmp_path_factory.mktemp("reports")
    pid = bed.version("web1")["arbiter_pid"]
    now = time.strftime("%Y-%m-%d %H:%M:%S +0000", time.gmtime())
    with (bed.fleet.root / "web1/app.log").open("a") as log:
        log.write(f"[{now}] [{pid}] [ERROR] {SCRIPT}\n")
    script = {"name": "script", "regex": "<script>", "severity": "error", "tolerance": 0}
    dirty = {"name": "ours", "regex": "Listening at", "severity": "critical", "tolerance": 0}
    to: dict[str, object] = {"playbook": "upgrade.yml", "rollout_to": "21.2.0"}
    stopped = reported(bed, directory, gate_log_patterns=[script, dirty], **to)
    well = reported(bed, directory, gate_log_patterns=[script], rollout_force=True, **to)
    back = reported(bed, directory, "rollback.yml", rollout_reason="users complain")
    return stopped, well, back


def data_of(page: Path) -> dict:
    return json.loads(page.with_suffix(".json").read_text())


def ways(data: dict, host: str) -> list[str]:
    return [span["state"] for span in data["hosts"][host]["spans"]]


def test_a_run_that_a_gate_stopped(reports):
    data = data_of(reports[0])
    assert data["outcome"]["result"] == "stopped" and data["outcome"]["host"] == "web1"
    assert "ours" in data["outcome"]["cause"]
    host = data["hosts"]["web1"]
    assert host["now"] == "rolled back" and len(host["outages"]) >= 1
    assert [each["gunicorn"] for each in host["versions"]] == ["20.0.1", "21.2.0", "20.0.1"]
    assert ways(data, "web1")[0] == "serving" and "switching" in ways(data, "web1")
    before, tried = data["logs"]["web1"][:2]
    assert before["before"] and before["counts"]["script"] == 1 and before["seconds"] > 0
    assert tried["counts"]["ours"] == 1 and tried["gunicorn"] == "21.2.0"
    found = {(each["event"], each["before"]) for each in data["incidents"]}
    # The old gunicorn said once that it listens, too.
    assert found == {("ours", False), ("ours", True), ("script", True)}
    assert data["balancers"]["lb1"]["servers"].keys() == {"web1", "web2"}
    failures = ElementTree.parse(reports[0].with_suffix(".junit.xml")).getroot().get("failures")
    assert failures == "1"
    assert "Stopped: web1 failed" in reports[0].with_suffix(".md").read_text()


def test_a_run_that_went_well(reports):
    data = data_of(reports[1])
    assert data["outcome"]["result"] == "done"
    assert data["people"]["overrides"] == ["rollout_force"]
    assert data["hosts"]["web1"]["now"] == "serving"
    assert data["hosts"]["web1"]["reached"] == "passed"
    assert "soaking" in ways(data, "web1")
    assert {look["gate"] for look in data["looks"]} == {"boot", "soak"}
    assert {look["verdict"] for look in data["looks"]} == {"pass"}
    assert data["left_out"] == {"events": 0, "incidents": 0}


def test_the_way_back(reports):
    data = data_of(reports[2])
    assert data["playbook"] == "rollback" and data["outcome"]["result"] == "done"
    assert data["people"]["kind"] == "rollback"
    assert data["people"]["reason"] == "users complain"
    assert data["hosts"]["web1"]["now"] == "rolled back"
    assert [each["gunicorn"] for each in data["hosts"]["web1"]["versions"]] == ["21.2.0", "20.0.1"]
    ticket = reports[2].with_suffix(".md").read_text()
    assert ticket.startswith("## Done: web1 is back on gunicorn 20.0.1 on Python 3.6")


def test_the_page_can_be_read_and_fetches_nothing(reports):
    """What can be told without a browser."""
    for report in reports:
        texts = " ".join(Page(report.read_text()).texts)
        assert "Timeline" in texts and "What users saw at lb1" in texts
        # The second run began with an arbiter that was younger than that line.
        assert (SCRIPT in texts) == (report == reports[0])


# -- how a browser shows it --------------------------------------------------------------------


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    program = chromium()
    if program is None:
        pytest.skip("no Chromium here: apt-get install chromium-headless-shell (306 MB)")
    with browser(program) as found:
        yield found


# The texts of what is wider than the screen.
OUTSIDE = """
[...document.querySelectorAll('td, p, pre, h1, h2, dd, text, summary')].filter(each => {
  const box = each.getBoundingClientRect();
  return box.width && (box.right > innerWidth + 1 || box.left < -1);
}).map(each => each.textContent)
"""


class Server(ThreadingHTTPServer):
    """Serves a directory, and keeps what was asked for."""

    def __init__(self, directory: Path) -> None:
        super().__init__(("127.0.0.1", 0), partial(Quiet, directory=str(directory)))
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_arguments: object) -> None:
        self.server.asked.append(self.path)


@pytest.fixture
def served(tmp_path) -> Iterator[tuple[Path, Server]]:
    server = Server(tmp_path)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield tmp_path, server
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_a_browser_shows_it(reports, chrome, served, width, scheme):
    directory, server = served
    for number, report in enumerate(reports):
        name = f"{number}.html"
        (directory / name).write_text(report.read_text())
        url = f"{server.url}/{name}"
        chrome.show(url, width, scheme)
        assert chrome.complaints == []
        assert chrome.fetched == [url]
        assert server.asked.pop() == f"/{name}" and server.asked == []
        assert chrome.value("document.scripts.length") == 0
        assert chrome.value("document.title").startswith(("Stopped: web1", "Done: web1 "))
        assert chrome.value("document.documentElement.scrollWidth") == width
        assert chrome.value(OUTSIDE) == []
        assert number or SCRIPT in chrome.value("document.body.innerText")
        shade = chrome.value("getComputedStyle(document.body).backgroundColor").strip("rgb()")
        assert (sum(map(int, shade.split(","))) > 380) == (scheme == "light")


def test_a_printer_gets_all_of_it(reports, chrome):
    chrome.show(reports[0].as_uri(), 1280, "light")
    assert chrome.paper().startswith(b"%PDF-")


def test_what_the_checks_are_there_to_find_is_found(reports, chrome, served):
    """With an outside resource and a script in the page, they complain."""
    directory, server = served
    evil = f"<img src='{server.url}/pixel.png'>{SCRIPT}</body>"
    text = reports[0].read_text().replace("</body>", evil)
    (directory / "1.html").write_text(text)
    chrome.show(f"{server.url}/1.html", 390, "light")
    # The page's policy lets neither of them happen, and the console says so.
    assert len(chrome.complaints) >= 2 and server.asked == ["/1.html"]
    assert chrome.value("document.title") != "broken"
    (directory / "2.html").write_text(text.replace("Content-Security-Policy", "x"))
    chrome.show(f"{server.url}/2.html", 390, "light")
    assert chrome.fetched[1:] == [f"{server.url}/pixel.png"]
    assert chrome.value("document.title") == "broken"
