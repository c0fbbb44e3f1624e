# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The last run, and the last check, as Prometheus reads them from a textfile. Pure.

Every metric is a gauge: each describes the one run or check that was last, and is replaced by the
next. What is not known is absent. docs/report.md says what each means.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ansible_collections.fleetops.gunicorn.plugins.module_utils._visible import visible

Data = Mapping[str, Any]
Labels = Mapping[str, Any]

PREFIX = "fleetops_gunicorn_"
VERDICTS = ("clean", "dirty", "inconclusive")
# Where a host is after the run, by what the report calls it; whatever is not here is out.
_IN_ROTATION = ("serving", "soaking", "rolled back")


class Family(NamedTuple):
    """A metric with its samples: labels and a value; a value of None is not known."""

    name: str
    help: str
    samples: Iterable[tuple[Labels, Any]]


def run_metrics(data: Data, fleet: str) -> str:
    """The textfile of a run, made of its report."""
    own = {"fleet": fleet, "playbook": data["playbook"]}
    outcome, hosts = data["outcome"], data["hosts"]
    ill = {outcome["host"], *(each["host"] for each in outcome["others"])} - {""}
    info = {"outcome": outcome["result"], "code": outcome["code"], "version": data["version"]}

    def of_hosts(value: Any) -> list[tuple[Labels, Any]]:
        return [({**own, "host": name}, value(name, host)) for name, host in hosts.items()]

    return _text(
        Family("run_info", "How the last run ended.", [({**own, **info}, 1)]),
        Family(
            "run_success",
            "Whether the last run ended well (1) or was stopped (0).",
            [(own, int(outcome["result"] == "done"))],
        ),
        Family(
            "run_start_time_seconds",
            "When the last run began, since the epoch.",
            [(own, data["began"])],
        ),
        Family(
            "run_end_time_seconds",
            "When the last run ended, since the epoch.",
            [(own, data["ended"])],
        ),
        Family(
            "run_duration_seconds",
            "How long the last run took.",
            [(own, round(data["ended"] - data["began"], 3))],
        ),
        Family(
            "run_requests",
            "Requests that a balancer counted while the last run looked.",
            [({**own, "balancer": name}, each) for name, each in _totals(data, "requests")],
        ),
        Family(
            "run_lost_requests",
            "Of them, those that users got an error for: answers of 500 and above, of the balancer"
            " or of a server; without HTTP broken connections.",
            [({**own, "balancer": name}, each) for name, each in _totals(data, "errors")],
        ),
        Family(
            "run_incidents",
            "Incidents in the logs of what the last run started.",
            _incidents(data, own),
        ),
        Family(
            "run_host_passed",
            "Whether a host of the last run went through it (1) or did not (0).",
            of_hosts(lambda name, host: int(bool(host["reached"]) and name not in ill)),
        ),
        Family(
            "run_host_in_rotation",
            "Whether a host was in rotation when the last run ended, as far as that knows.",
            of_hosts(lambda _name, host: _in_rotation(host)),
        ),
        Family(
            "run_host_out_of_rotation_seconds",
            "How long a host was out of rotation in the last run, in all.",
            of_hosts(lambda _name, host: _seconds_out(host)),
        ),
        Family(
            "run_host_silent_seconds",
            "How long no gunicorn answered on a host, in all switches of the last run.",
            of_hosts(lambda _name, host: round(sum(host["silent"]), 3)),
        ),
    )


def check_metrics(report: Data, fleet: str) -> str:
    """The textfile of a check, made of what `check_file` holds."""
    own, hosts = {"fleet": fleet}, report["hosts"]
    return _text(
        Family(
            "check_time_seconds",
            "When the fleet was checked last, since the epoch.",
            [(own, report["at"])],
        ),
        Family(
            "check_verdict",
            "The verdict of the last check, 1 for the one that holds.",
            [({**own, "verdict": word}, int(report["verdict"] == word)) for word in VERDICTS],
        ),
        Family(
            "check_host_verdict",
            "The verdict of the last check on a host, 1 for the one that holds.",
            [
                ({**own, "host": host["host"], "verdict": word}, int(host["verdict"] == word))
                for host in hosts
                for word in VERDICTS
            ],
        ),
        Family(
            "check_host_stable_seconds",
            "For how long a host had had no incident when it was checked last.",
            [({**own, "host": host["host"]}, host["stable_for"]) for host in hosts],
        ),
        Family(
            "check_incidents",
            "Incidents in the log of what runs on a host, when it was checked last.",
            [
                ({**own, "host": host["host"], "event": event}, count)
                for host in hosts
                for event, count in sorted((host["counts"] or {}).items())
            ],
        ),
    )


def _totals(data: Data, what: str) -> list[tuple[str, Any]]:
    """What is known of two looks or more; one counts nothing."""
    totals = [(name, each["total"]) for name, each in data["balancers"].items()]
    return [(name, total[what]) for name, total in totals if len(total["edges"]) > 1]


def _incidents(data: Data, own: Labels) -> list[tuple[Labels, Any]]:
    """Of the generations that are not from before the run; a log that was looked at has its 0."""
    found: dict[str, int] = {"reentrant": 0}
    looked = [each for log in data["logs"].values() for each in log if not each["before"]]
    for each in looked:
        for event, count in each["counts"].items():
            found[event] = found.get(event, 0) + count
    return [({**own, "event": event}, count) for event, count in found.items()] if looked else []


def _in_rotation(host: Data) -> int | None:
    return None if host["now"] == "unknown" else int(host["now"] in _IN_ROTATION)


def _seconds_out(host: Data) -> float:
    out = sum(float(each["ended"]) - float(each["began"]) for each in host["outages"])
    return round(out, 3)


# -- the format ------------------------------------------------------------------------------


def _text(*families: Family) -> str:
    lines = []
    for family in families:
        known = [(labels, value) for labels, value in family.samples if value is not None]
        if known:
            name = PREFIX + family.name
            lines += [f"# HELP {name} {family.help}", f"# TYPE {name} gauge"]
            lines += [f"{name}{{{_labels(labels)}}} {value}" for labels, value in known]
    return "\n".join(lines) + "\n"


def _labels(labels: Labels) -> str:
    return ",".join(f'{name}="{_value(str(value))}"' for name, value in labels.items())


def _value(text: str) -> str:
    """A label's value; a host is called whatever the inventory says, an event what a pattern is."""
    shown = visible(text)[:200].replace("\\", "\\\\").replace('"', '\\"')
    return shown.replace("\n", "\\n").encode("utf-8", "replace").decode("utf-8")
