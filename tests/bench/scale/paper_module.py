# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A module on paper: it is sent, started and answers as a real one, and looks at nothing.

It is copied over plugins/modules/<module>.py in a copy of the collection. How many servers the
fleet has is in the environment, ``BENCH_HOSTS``.
"""

import os

from ansible.module_utils.basic import AnsibleModule, _load_params

NAME = "@NAME@"
ARBITER = {
    "pid": 7,
    "started": 1.0,
    "start_ticks": 7,
    "boot_id": "b",
    "gunicorn": "20.0.1",
    "python": "3.6.15",
    "workers_wanted": 2,
}
# As many counters as HAProxy 2.8 has of a server.
COUNTERS = {f"counter_{number:02d}": number * 1000 for number in range(60)}


def servers(backend):
    return [row(backend, f"web{number:04d}") for number in range(int(os.environ["BENCH_HOSTS"]))]


def row(backend, server):
    return {
        "backend": backend,
        "server": server,
        "status": "UP",
        "admin": "ready",
        "sessions": 3,
        "queue": 0,
        "check": "L7OK HTTP status check returned code <200>",
        "weight": 100,
        "weight_set": 100,
        "weight_full": 100,
        "backup": False,
        "throttle": 100,
        "agent": "",
        "agent_check": "",
        "address": "192.0.2.1:8000",
        "left_out": False,
        "counters": dict(COUNTERS, stot=100000, econ=0, eresp=0, hrsp_5xx=0, hrsp_2xx=100000),
    }


def gunicorn_info(params):
    return {
        "arbiter": ARBITER,
        "workers": [{"pid": 8}, {"pid": 9}],
        "program": {"state": "RUNNING", "command": "gunicorn", "directory": "/", "user": ""},
        "venv": {
            "path": "/x",
            "kind": "symlink",
            "release": "20.0.1-py3.6-00000000",
            "previous": "19.9.0-py3.6-00000000",
            "gunicorn": ARBITER["gunicorn"],
            "python": ARBITER["python"],
        },
        "age": 60.0,
        "orphans": [],
        "unmanaged": [],
        "deviations": [],
        "unread": [],
        "logs": ["/x.log"],
    }


def haproxy_server_info(params):
    server = params.get("server") or ""
    wanted = params.get("servers") or []
    backends = []
    for name in params["backends"]:
        rows = servers(name)
        if params.get("rows") == "server":
            rows = [each for each in rows if each["server"] == server]
        backends.append(
            {"name": name, "mode": "http", "balance": "roundrobin", "sticky": "", "servers": rows}
        )
    total = int(os.environ["BENCH_HOSTS"])
    others = [f"web{number:04d}" for number in range(total)]
    answer = {
        "servers": [row(name, server) for name in params["backends"]] if server else [],
        "backends": backends,
        "totals": [{"backend": name, "counters": COUNTERS} for name in params["backends"]],
        "node": {"name": "lb", "pid": 1, "uptime": 1000, "started": 1, "requests": 1},
        "level": "admin",
        "refusal": "",
        "available": {
            name: {"up": others, "total": total, "wanted": 1, "possible": True, "enough": True}
            for name in params["backends"]
        },
        "hazards": [],
        "out_by_others": [],
        "lease": None,
        "notes": [],
    }
    if wanted:
        answer["about"] = {
            name: {
                "servers": [row(backend, name) for backend in params["backends"]],
                "lease": None,
                "out_by_others": [],
                "hazards": [],
                "notes": [],
            }
            for name in wanted
        }
    return answer


def plan_info(params):
    stages = [
        {
            "stage": stage["stage"],
            "id": f"{stage['gunicorn']}-py3.6",
            "there": False,
            "python": ARBITER["python"],
            "source": "carried",
            "known": "pins",
            "packages": {},
            "may_move": False,
            "open": [],
            "dropped": [],
            "caps": [],
            "problems": [],
            "stale": [],
            "vital": [],
            "error": "",
        }
        for stage in params["stages"]
    ]
    return {"packages": {}, "stages": stages, "settings": {"error": "paper has no settings"}}


def release(params):
    version = params.get("gunicorn") or ""
    return {
        "id": f"{version}-py3.6-00000000",
        "python": "3.6.15",
        "packages": {},
        "timings": {},
    }


def server_info(params):
    answers = {"service": gunicorn_info(params)}
    for name in ("health", "log"):
        if params.get(name) is not None:
            answers[name] = ANSWERS[{"health": "http_health", "log": "log_check"}[name]](params)
    if params.get("preview"):
        answers["preview"] = plan_info(params["preview"])
        stages = params["preview"]["stages"]
        answers["pythons"] = [dict(PYTHON, stage=stage["stage"]) for stage in stages]
        answers["prune"] = {"removed": [], "kept": {}}
    if params.get("trial"):
        answers["trial"] = release(params["trial"])
    return answers


PYTHON = {"found": True, "executable": "/usr/bin/python3", "version": "3.6.15", "message": ""}
ANSWERS = {
    "server_info": server_info,
    "gunicorn_info": gunicorn_info,
    "haproxy_server_info": haproxy_server_info,
    "plan_info": plan_info,
    "release": release,
    "host_turn": lambda params: {"waited": 0.0},
    "http_health": lambda params: {"answers": 1, "seconds": 0.1},
    "log_check": lambda params: {
        "verdict": "clean",
        "reasons": [],
        "incidents": [],
        "counts": {},
        "scanned": {"bytes": 1},
    },
    "index_info": lambda params: {"versions": [], "asked": [], "error": "paper has no index"},
    "python_info": lambda params: PYTHON,
    "release_prune": lambda params: {"removed": [], "kept": {}, "leftovers": []},
}


def main():
    names = [name for name in _load_params() if not name.startswith("_ansible_")]
    module = AnsibleModule(
        argument_spec={name: {"type": "raw"} for name in names}, supports_check_mode=True
    )
    module.exit_json(changed=False, **ANSWERS[NAME](module.params))


if __name__ == "__main__":
    main()
