# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host on paper: stands in, on the controller, for every module that would ask or change one.

It is copied over plugins/action/<module>.py in a copy of the collection. What it is asked goes into
the journal $PAPER/journal; the fault of $PAPER/fault.json happens when its module is first called
for its host. A host that is gone raises what Ansible raises for one that cannot be reached; one
that reverts runs what it ran at first.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

GENERATION = {"pid": 7, "started": 1.0, "start_ticks": 7, "boot_id": "b"}
ARBITER = {**GENERATION, "gunicorn": "20.0.1", "python": "3.6.15", "workers_wanted": 2}


def paper() -> Path:
    return Path(os.environ["PAPER"])


def journal(*words: str) -> None:
    with (paper() / "journal").open("a") as file:
        file.write(" ".join(words) + "\n")


def meet(module: str, state: str, host: str, machine: str) -> str | None:
    """What happens now: None, or the message of a failure. Raises for a machine that is gone."""
    fault = json.loads((paper() / "fault.json").read_text())
    here = (fault["module"], fault["state"], fault["host"]) == (module, state, host)
    seen = paper() / "fault.calls"
    if here:
        calls = int(seen.read_text()) + 1 if seen.exists() else 1
        seen.write_text(str(calls))
        if calls == fault["call"] or (calls > fault["call"] and fault["stays"]):
            journal("FAULT", module, host)
            if fault["kind"] == "reverts":
                (paper() / f"{host}.runs").unlink()
                return None
            if fault["kind"] == "fails":
                return f"{module} of {host} fails on purpose"
            (paper() / f"gone.{fault['machine']}").touch()
    if (paper() / f"gone.{machine}").exists():
        raise AnsibleConnectionFailure(f"{machine} is gone on purpose")
    return None


class ActionModule(ActionBase):
    """Answers as the module would."""

    _supports_check_mode = True

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        host = str(task_vars["inventory_hostname"])
        machine = str(self._task.delegate_to or host)
        name = self._task.action.rpartition(".")[2]
        state = str(self._task.args.get("state", ""))
        if self._task.check_mode:
            state = "asked"
        failure = meet(name, state, host, machine)
        if failure:
            return {"failed": True, "msg": failure}
        if "turn" in self._task.args and state != "asked":
            with (paper() / "turns").open("a") as file:
                file.write(f"{name} {host} {self._task.args['turn']}\n")
        share = str(self._task.args.get("share") or "")
        journal(name, state or "-", host, machine, *share.split())
        return {"changed": False, **getattr(self, f"_{name}")(host, state)}

    def _server_info(self, host: str, state: str) -> dict[str, Any]:
        """Each question meets the fault of the module that is for it alone."""
        args, told = self._task.args, {}
        questions = {"service": "gunicorn_info", "health": "http_health", "log": "log_check"}
        for question, module in questions.items():
            if question == "service" or question in args:
                failure = meet(module, state, host, str(self._task.delegate_to or host))
                answer = getattr(self, f"_{module}")(host, state)
                told[question] = {"failed": True, "msg": failure} if failure else answer
        if "preview" in args:
            told["preview"] = self._preview(args["preview"]["stages"])
            python = self._python_info(host, state)
            told["pythons"] = [
                {**python, "stage": stage["stage"]} for stage in args["preview"]["stages"]
            ]
            told["prune"] = {"removed": [], "kept": {}}
        return told

    def _home(self, host: str) -> Path:
        return paper() / f"{host}.runs"

    def _gunicorn_info(self, host: str, state: str) -> dict[str, Any]:
        runs = self._home(host)
        release = runs.read_text() if runs.exists() else None
        version = {"gunicorn": "21.2.0"} if release and release.startswith("21") else {}
        stopped = (paper() / f"{host}.stopped").exists()
        return {
            "arbiter": None if stopped else {**ARBITER, **version},
            "workers": [{"pid": 8}, {"pid": 9}],
            "program": {"state": "RUNNING", "command": "gunicorn", "directory": "/", "user": ""},
            "venv": {
                "path": "/x",
                "kind": "symlink",
                "release": release,
                "previous": None,
                "gunicorn": version.get("gunicorn", ARBITER["gunicorn"]),
                "python": ARBITER["python"],
            },
            "age": 60.0,
            "orphans": [],
            "unmanaged": [],
            "deviations": [],
            "unread": [],
            "logs": ["/x.log"],
        }

    def _active_release(self, host: str, state: str) -> dict[str, Any]:
        self._home(host).write_text(str(self._task.args["release"]))
        (paper() / f"{host}.stopped").unlink(missing_ok=True)
        return {"changed": True, "release": self._task.args["release"], "generation": GENERATION}

    def _preview(self, stages: list[dict[str, Any]]) -> dict[str, Any]:
        told = [
            {
                "stage": stage["stage"],
                "id": f"{stage['gunicorn']}-py3.6",
                "there": False,
                "python": ARBITER["python"],
                "source": "carried",
                "known": "pins",
                "packages": {},
                "may_move": False,
                **{name: [] for name in ("open", "dropped", "caps", "problems", "stale", "vital")},
                "error": "",
            }
            for stage in stages
        ]
        settings = {"error": "paper has no settings"}
        return {"packages": {}, "stages": told, "settings": settings}

    def _host_turn(self, host: str, state: str) -> dict[str, Any]:
        return {"waited": 0.0}

    def _balancer_server(self, host: str, state: str) -> dict[str, Any]:
        return {"changed": state != "asked", "servers": [], "waited": 0}

    def _balancer_server_info(self, host: str, state: str) -> dict[str, Any]:
        available = {"app": {"up": ["a"], "total": 6, "wanted": 1}}
        own = {"servers": [], "hazards": [], "out_by_others": [], "lease": None}
        return {
            "backends": [],
            "totals": [],
            "node": {"pid": 1},
            "level": "admin",
            "refusal": "",
            "available": available,
            **own,
            "about": {str(server): own for server in self._task.args.get("servers") or []},
        }

    def _http_health(self, host: str, state: str) -> dict[str, Any]:
        return {"answers": 1, "seconds": 0.1}

    def _log_check(self, host: str, state: str) -> dict[str, Any]:
        return {"verdict": "clean", "reasons": [], "incidents": [], "scanned": {"bytes": 1}}

    def _index_info(self, host: str, state: str) -> dict[str, Any]:
        return {"versions": [], "asked": [], "error": "paper has no index"}

    def _python_info(self, host: str, state: str) -> dict[str, Any]:
        return {"found": True, "executable": "/usr/bin/python3", "version": "3.6.15", "message": ""}

    def _release(self, host: str, state: str) -> dict[str, Any]:
        meanwhile = paper() / "meanwhile.json"
        if meanwhile.exists():
            # Another run was faster, while this one built.
            (paper() / "locks").mkdir(mode=0o755, exist_ok=True)
            (paper() / "locks" / "app.record.json").write_text(meanwhile.read_text())
        version = self._task.args.get("gunicorn", "")
        return {
            "id": f"{version}-py3.6-00000000",
            "python": "3.6.15",
            "packages": {},
            "timings": {},
        }

    def _release_prune(self, host: str, state: str) -> dict[str, Any]:
        return {"removed": [], "kept": {}, "leftovers": []}
