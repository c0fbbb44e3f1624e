# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbooks under ansible-runner, as AWX, Automation Controller and ansible-navigator run them.

It shows a run through a stdout callback of its own: report and exit code must not depend on ours.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, Bed, Run

RATE = 20.0
QUICK = {"gate_soak": 4, "gate_interval": 1, "rollout_stages": [{"gunicorn": "21.2.0"}]}


class Runner:
    def __init__(self, bed: Bed, place: Path) -> None:
        self.bed = bed
        self.place = place
        self.reports = place / "reports"

    def run(self, playbook: str, *arguments: str, **inputs: Any) -> Run:
        """A playbook, through the command ``ansible-runner``."""
        (self.place / "env").mkdir(exist_ok=True)
        (self.place / "env" / "extravars").write_text(json.dumps(inputs))
        # ansible-runner keeps the arguments of one run there for the next.
        (self.place / "env" / "cmdline").unlink(missing_ok=True)
        command = [sys.executable, "-m", "ansible_runner", "run", str(self.place)]
        command += ["--project-dir", str(ROOT), "--playbook", playbook]
        command += ["--inventory", str(ROOT / "inventories" / "demo")]
        command += ["--cmdline", " ".join(arguments)] if arguments else []
        environment = {
            **{key: value for key, value in os.environ.items() if "CALLBACK" not in key},
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "DEMO_ROOT": str(self.bed.fleet.root),
            "FLEETOPS_REPORT_DIRECTORY": str(self.reports),
        }
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, timeout=900
        )
        return Run(done.returncode, done.stdout + done.stderr)

    def report(self) -> dict[str, Any]:
        """The last one, which must be whole."""
        last = max(self.reports.glob("*.json"))
        for kind in ("html", "md", "junit.xml"):
            assert last.with_suffix(f".{kind}").exists(), kind
        return dict(json.loads(last.read_text()))

    def artifacts(self) -> dict[str, Any]:
        """What the last run hands on to a workflow: AWX reads it from this event."""
        places = (self.place / "artifacts").glob("*/job_events")
        last = max(places, key=lambda place: place.stat().st_mtime_ns)
        events = [json.loads(file.read_text()) for file in last.glob("*.json")]
        (stats,) = [each for each in events if each["event"] == "playbook_on_stats"]
        return dict(stats["event_data"]["artifact_data"])


@pytest.fixture
def runner(bed: Bed, tmp_path: Path) -> Runner:
    return Runner(bed, tmp_path)


def test_plan_canary_and_stop_leave_report_and_exit_code(
    bed: Bed, runner: Runner, traffic: dict[str, int]
) -> None:
    plan = runner.run("upgrade.yml", "--check", "-l web1", **QUICK)
    assert plan.code == 0, plan.text
    assert runner.report()["check_mode"] is True
    told = runner.artifacts()
    assert (told["fleetops_outcome"], told["fleetops_stop_code"]) == ("planned", "")
    planned = told["fleetops_plan_hash"]
    assert planned

    canary = runner.run("upgrade.yml", "-l web1", **QUICK)
    assert canary.code == 0, canary.text
    report = runner.report()
    assert report["outcome"]["result"] == "done", report["outcome"]
    assert bed.version("web1")["gunicorn"] == "21.2.0"
    told = runner.artifacts()
    assert told["fleetops_outcome"] == "done"
    assert told["fleetops_hosts"] == {"web1": "passed"}
    assert told["fleetops_plan_hash"] == planned
    assert Path(told["fleetops_report"]) == max(runner.reports.glob("*.html"))

    # Nothing that a hook refuses goes on.
    hook = {"name": "Refuse", "at": "before_drain", "command": ["/bin/false"]}
    stopped = runner.run("upgrade.yml", "-l web2", rollout_hooks=[hook], **QUICK)
    assert stopped.code == 2, stopped.text
    report = runner.report()
    assert report["outcome"]["result"] == "stopped"
    told = runner.artifacts()
    assert told["fleetops_outcome"] == "stopped"
    assert told["fleetops_stop_code"] == report["outcome"]["code"] == "F-HOOK"
    assert (told["fleetops_stopped_by"], told["fleetops_hosts"]) == ("web2", {})
    assert Path(told["fleetops_report"]) == max(runner.reports.glob("*.html"))
    assert "Report: " in stopped.text
    assert bed.version("web2")["gunicorn"] == "20.0.1"

    # The container is gone, and what it wrote; the host of the lock knows.
    forgotten = {**report["outcome"]}
    shutil.rmtree(runner.reports)
    status = runner.run("status.yml")
    assert f"{told['fleetops_report_copy']}: stopped by web2, F-HOOK" in status.text
    kept = bed.fleet.root / "lb1/locks/app.reports"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o700
    assert [stat.S_IMODE(file.stat().st_mode) for file in kept.iterdir()] == [0o600, 0o600]
    fetched = runner.run("report.yml", report_to=str(runner.reports))
    assert fetched.code == 0, fetched.text
    assert (runner.reports / f"{told['fleetops_report_copy']}.html").exists()
    assert runner.report()["outcome"] == forgotten


def test_a_check_that_cannot_judge_ends_with_3(bed: Bed, runner: Runner) -> None:
    nowhere = str(runner.place / "nothing.log")
    check = runner.run("check.yml", "-l web2", gate_log_paths=[nowhere])
    assert check.code == 3, check.text
    told = runner.artifacts()
    assert told == {"fleetops_outcome": "inconclusive", "fleetops_hosts": {"web2": "inconclusive"}}
