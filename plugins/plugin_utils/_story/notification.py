# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What others are told of a run: short, and without the logs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.fleetops.gunicorn.plugins.module_utils._redact import redact
from ansible_collections.fleetops.gunicorn.plugins.module_utils._visible import visible

_LIMIT = 1500
_SUBJECT = 120
_OF_THE_RUN = ("id", "kind", "owner", "controller", "reason")


def notify_problems(wanted: Sequence[Mapping[str, Any]]) -> list[str]:
    """What is wrong with ``rollout_notify``, beyond what its declaration says."""
    found = []
    for one in wanted:
        name = f"{one['name']} of rollout_notify"
        if one.get("kind", "json") == "mail":
            if not one.get("to"):
                found.append(f"{name}: a mail needs to (a list of addresses).")
            if not _is_there("community.general"):
                found.append(
                    f"{name}: a mail needs the collection community.general, which is not here:"
                    " ansible-galaxy collection install community.general"
                )
        # Not shown: it may hold a secret.
        elif urlsplit(str(one.get("url", ""))).scheme not in ("http", "https"):
            found.append(f"{name} needs url, from http:// or https:// on.")
    return found


def _is_there(collection: str) -> bool:
    try:
        return find_spec(f"ansible_collections.{collection}") is not None
    except (ImportError, ValueError):
        return False


def notice(
    text: str, event: str, fleet: str, host: str, record: Mapping[str, Any]
) -> dict[str, Any]:
    """The notice of an event: ``event``, ``fleet``, ``host``, ``subject``, ``text`` and ``run``.

    ``text`` ends where the evidence begins: what an application logs does not leave the house.
    """
    ours = [line for line in visible(text).split("\n") if not line.lstrip().startswith("| ")]
    said = redact("\n".join(ours).partition("\nEvidence:")[0].strip()[: 4 * _LIMIT])[:_LIMIT]
    run = record.get("run") or {}
    return {
        "event": event,
        "fleet": fleet,
        "host": host,
        "subject": f"[{fleet}] {event}: {said.partition(chr(10))[0]}"[:_SUBJECT],
        "text": said,
        "run": {name: run[name] for name in _OF_THE_RUN if name in run},
    }


def notice_body(told: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """What is posted: the notice itself, or what Slack and its likes understand."""
    if kind == "slack":
        text = f"[{told['fleet']}] {told['event']}: {told['text']}"
        # There <...> is a link or calls everybody.
        return {"text": text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")}
    return dict(told)


def not_told(result: Mapping[str, Any]) -> str:
    """Why somebody was not told, without the address."""
    status = result.get("status", -1)
    if isinstance(status, int) and status > 0:
        return f"it answers {status}"
    return "it took too long" if result.get("timedout") else "it does not answer"
