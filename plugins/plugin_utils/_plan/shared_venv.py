# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What becomes of the other programs on a virtualenv that is switched below them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.fleetops.gunicorn.plugins.module_utils._release.stage_order import minor
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._few import few
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._known_problems.versions import (
    version_key,
)

# Where a hook finds the new release switched on, and where the old one again.
POINTS = ("after_switch", "after_rollback")


def planned(info: Any, python: str, hooks: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a text for each other program on the virtualenv of a host that a run will switch.

    ``info`` is a result of module ``gunicorn_info``, ``python`` what the last stage runs on.
    """
    return [
        f"{_name(each)} runs from the same virtualenv and is not restarted: {_fate(each, python)}."
        f" {_advice(each, hooks)}"
        for each in _beside(info)
    ]


def left(hosts: Iterable[Mapping[str, Any]], hooks: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the last words of a run: what is still to be restarted, and where.

    ``hosts`` are the variables of hosts whose ``_service_info`` is of the end of the run.
    """
    told: dict[str, list[str]] = {}
    for host in hosts:
        info = host.get("_service_info")
        arbiter = info.get("arbiter") if isinstance(info, Mapping) else None
        if not isinstance(arbiter, Mapping):
            continue
        for each in _beside(info):
            started = float(each.get("started") or 0)
            if not each.get("pid") or started >= float(arbiter["started"]):
                continue
            text = f"{_name(each)} was not restarted: {_fate(each, arbiter.get('python') or '')}"
            text = f"{text}. {_advice(each, hooks)}"
            told.setdefault(text, []).append(str(host["inventory_hostname"]))
        for text in _loose(info, float(arbiter["started"])):
            told.setdefault(text, []).append(str(host["inventory_hostname"]))
    return [f"On {few(names)}: {text}" for text, names in told.items()]


def _beside(info: Any) -> list[Mapping[str, Any]]:
    found = info.get("beside") if isinstance(info, Mapping) else None
    return [each for each in found or [] if isinstance(each, Mapping)]


def _loose(info: Any, switched: float) -> list[str]:
    """What is in no program, and older than the switch."""
    return [
        f"process {each['pid']} (user {each['user'] or '?'}: {each['command']}) is in no program,"
        " and goes on with the release before. Restart it."
        for each in info.get("loose") or []
        if float(each["started"]) < switched
    ]


def _name(each: Mapping[str, Any]) -> str:
    words = f"Program {each['program']}"
    if each.get("listeners"):
        return f"{words} (gunicorn, listening on {', '.join(each['listeners'])})"
    return f"{words} (gunicorn)" if each.get("gunicorn") else words


def _fate(each: Mapping[str, Any], python: str) -> str:
    has = str(each.get("python") or "")
    if not each.get("pid"):
        return "it does not run now, and starts on the new code, which no gate has looked at"
    words = "it keeps running on the old code until somebody restarts it"
    if has and python and version_key(minor(has)) != version_key(minor(python)):
        return (
            f"{words}, and cannot import anything more until then, since Python {minor(has)} gives"
            f" way to {minor(python)}"
        )
    if not has:
        return f"{words}; if its Python changes, it cannot import anything more until then"
    return f"{words}, and what it has yet to import is the new"


def _advice(each: Mapping[str, Any], hooks: Sequence[Mapping[str, Any]]) -> str:
    if each.get("same_manager") and not any(hook.get("at") in POINTS for hook in hooks):
        return "Name it in app_programs: then it is switched too."
    return _hooks(hooks)


def _hooks(hooks: Sequence[Mapping[str, Any]]) -> str:
    names = {at: [str(hook.get("name")) for hook in hooks if hook.get("at") == at] for at in POINTS}
    missing = [at for at in POINTS if not names[at]]
    there = ", ".join(name for at in POINTS for name in names[at])
    if missing:
        rest = f" (at the other there is {there})" if there else ""
        return f"Restart it by a hook (rollout_hooks) at {' and '.join(missing)}{rest}."
    return f"See that one of your hooks restarts it: {there}."
