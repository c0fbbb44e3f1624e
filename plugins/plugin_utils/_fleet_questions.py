# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One question to each balancer for a whole fleet, and of its answer what is about one host."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

# What must be equal for two hosts to share a question.
_ALIKE = ("balancers", "provider", "reach", "backends", "min_available", "lease_directory")
# Of an answer, what is the same whichever server is asked about.
_COMMON = ("node", "level", "refusal", "available", "totals", "backends")


def fleet_questions(asked: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the questions, most often one for each balancer.

    ``asked`` is of each host what `_settings.of_host` returned. A question has what that has, with
    ``servers`` (all that share it) in place of ``server``, and the ``balancer`` to ask.
    """
    groups: dict[str, dict[str, Any]] = {}
    for host in asked:
        alike = {name: host[name] for name in _ALIKE}
        group = groups.setdefault(repr(alike), {**alike, "servers": []})
        if host["server"] not in group["servers"]:
            group["servers"].append(str(host["server"]))
    return [
        {"balancer": str(name), **group} for group in groups.values() for name in group["balancers"]
    ]


def answers_about(
    results: Iterable[Mapping[str, Any]], host: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Return what each balancer would have answered about this host alone, ``item`` its name.

    ``results`` are those of a loop over `fleet_questions`, ``host`` is of `_settings.of_host`.
    What could not be asked has ``msg``, and no ``servers``.
    """
    found = []
    for result in results:
        question = result["item"]
        if any(question[name] != host[name] for name in _ALIKE):
            continue
        answer: dict[str, Any] = {"item": str(question["balancer"])}
        own = (result.get("about") or {}).get(host["server"])
        if own is None:
            answer.update(failed=True, msg=str(result.get("msg") or "no answer"))
            if result.get("unreachable"):
                answer["unreachable"] = True
        elif "msg" in own:
            answer.update(failed=True, msg=str(own["msg"]))
        else:
            answer.update({name: result[name] for name in _COMMON if name in result}, **own)
        found.append(answer)
    return found
