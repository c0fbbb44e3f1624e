# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What Prometheus reads of a run and of a check; its own promtool judges the format."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
from unittest import mock

import pytest
from ansible import context
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._report.metrics import (
    check_metrics,
    run_metrics,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._report.reporter import Reporter
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._report.textfile import (
    write_textfile,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._story.story import Story, Task

from tests.unit.plugins.plugin_utils._report.paper_report import WELL, events, made

CHECKED = {
    "at": 1234.5,
    "verdict": "dirty",
    "hosts": [
        {"host": "web1", "verdict": "dirty", "stable_for": 22.0, "counts": {"reentrant": 2}},
        {"host": "web2", "verdict": "inconclusive", "stable_for": None, "counts": {}},
    ],
}
STOPPED = run_metrics(made(events()), "app")
SAMPLE = re.compile(r'^(\w+)\{((?:\w+="(?:[^"\\\n]|\\.)*",?)*)\} (\S+)$')


def samples(text: str) -> dict[tuple[str, str], float]:
    """By name and labels, without those that all have."""
    found = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            name, labels, value = SAMPLE.match(line).groups()
            labels = re.sub(r'(fleet|playbook)="[^"]*",?', "", labels)
            found[name.removeprefix("fleetops_gunicorn_"), labels.rstrip(",")] = float(value)
    return found


@pytest.mark.parametrize(
    "text", [STOPPED, run_metrics(made([], WELL), "app"), check_metrics(CHECKED, "app")]
)
def test_prometheus_finds_nothing_to_say(text):
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("no promtool (on Debian: apt-get install prometheus)")
    told = subprocess.run(
        [promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )
    assert (told.returncode, told.stdout + told.stderr) == (0, "")


def test_a_run_that_was_stopped():
    found = samples(STOPPED)
    assert found["run_success", ""] == 0
    assert found["run_start_time_seconds", ""] == 1000
    assert found["run_duration_seconds", ""] == found["run_end_time_seconds", ""] - 1000
    assert found["run_host_passed", 'host="web1"'] == 1
    assert found["run_host_passed", 'host="web2"'] == 0
    assert found["run_host_in_rotation", 'host="web2"'] == 1
    assert found["run_host_out_of_rotation_seconds", 'host="web1"'] > 0
    data = made(events())
    assert (
        found["run_lost_requests", 'balancer="lb1"'] == data["balancers"]["lb1"]["total"]["errors"]
    )
    assert f'outcome="stopped",code="{data["outcome"]["code"]}"' in STOPPED


def test_incidents_from_before_the_run_are_not_of_the_run():
    found = samples(STOPPED)
    of_run = {labels: value for (name, labels), value in found.items() if name == "run_incidents"}
    wanted = {"reentrant": 0.0}
    for log in made(events())["logs"].values():
        for each in log:
            for event, count in {} if each["before"] else each["counts"].items():
                wanted[event] = wanted.get(event, 0) + count
    assert of_run == {f'event="{event}"': count for event, count in wanted.items()}


def test_a_run_that_went_well_and_knows_little_says_no_more():
    text = run_metrics(made([], WELL), "app")
    assert samples(text)["run_success", ""] == 1
    assert "requests" not in text and "incidents" not in text


def test_a_check():
    found = samples(check_metrics(CHECKED, "app"))
    assert found["check_time_seconds", ""] == 1234.5
    assert [found["check_verdict", f'verdict="{word}"'] for word in ("clean", "dirty")] == [0, 1]
    assert found["check_host_verdict", 'host="web2",verdict="inconclusive"'] == 1
    assert found["check_host_stable_seconds", 'host="web1"'] == 22
    assert ("check_host_stable_seconds", 'host="web2"') not in found, "it is not known"
    assert found["check_incidents", 'host="web1",event="reentrant"'] == 2


def test_nobody_s_name_makes_a_sample():
    evil = 'web"} 1\nfleetops_gunicorn_run_success{fleet="app"} 1\\'
    checked = {**CHECKED, "hosts": [{**CHECKED["hosts"][0], "host": evil}]}
    text = check_metrics(checked, "app")
    assert "\nfleetops_gunicorn_run_success" not in text
    assert all(SAMPLE.match(line) for line in text.splitlines() if not line.startswith("#"))


# -- the file --------------------------------------------------------------------------------


def test_it_is_replaced_as_a_whole_and_everybody_may_read_it(tmp_path):
    before = os.umask(0o077)
    try:
        file = write_textfile(tmp_path, "x", "old\n")
        with file.open() as reader:
            write_textfile(tmp_path, "x", "new\n")
            assert reader.read() == "old\n", "who reads it reads one of them"
    finally:
        os.umask(before)
    assert file.read_text() == "new\n" and stat.S_IMODE(file.stat().st_mode) == 0o644
    assert [path.name for path in tmp_path.iterdir()] == ["x.prom"]


def hear(place, check=False, **heard):
    """What a reporter leaves of a run whose inputs name a directory."""
    story = Story()
    story.ended(
        1.0,
        "web1",
        Task("x | Check", "fleetops.gunicorn.validate_settings", {}),
        {"metrics": {"fleet": "app", "directory": str(place), **heard.pop("metrics", {})}},
    )
    for name, value in heard.items():
        setattr(story, name, value)
    reporter = Reporter(story)
    reporter.playbook_began("/x/upgrade.yml", {"report_directory": ""}.get)
    with mock.patch.object(context, "CLIARGS", {"check": check}):
        return reporter.write([], [], {"report_directory": "", "report_keep": 1}.get)


def test_a_run_and_a_check_have_a_file_each(tmp_path):
    assert hear(tmp_path, rollout=True) == []
    assert hear(tmp_path, checked=CHECKED) == []
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["fleetops_gunicorn_app_check.prom", "fleetops_gunicorn_app_run.prom"]


@pytest.mark.parametrize("heard", [{"rollout": True, "check": True}, {}])
def test_a_plan_and_a_table_have_none(tmp_path, heard):
    assert hear(tmp_path, **heard) == [] and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("fleet", ["../x", "", "a/b"])
def test_a_fleet_that_is_no_name_is_no_path(tmp_path, fleet):
    (tmp_path / "in").mkdir()
    (line,) = hear(tmp_path / "in", rollout=True, metrics={"fleet": fleet})
    assert line.text.startswith("No metrics could be written to ")
    assert [path.name for path in tmp_path.rglob("*")] == ["in"]


def test_what_cannot_be_written_is_a_line_and_no_failure(tmp_path):
    (line,) = hear(tmp_path / "nowhere", rollout=True)
    assert line.tone == "warn" and "FileNotFoundError" in line.text
    assert not (tmp_path / "nowhere").exists(), "it is node_exporter's to make"
