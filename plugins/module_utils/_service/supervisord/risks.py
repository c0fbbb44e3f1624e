# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which settings of a program make a switch slower or less safe, and why. No I/O."""

from typing import Any, Dict, Iterable, List

from ansible_collections.fleetops.gunicorn.plugins.module_utils._gunicorn.options import (
    graceful_timeout,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._redact import redact
from ansible_collections.fleetops.gunicorn.plugins.module_utils._service.supervisord.target import (
    SETTINGS,
)

# A gunicorn whose port is taken needs 5.1 to 5.2 s to give up.
STARTSECS = 7


def deviations(
    program: Dict[str, Any],
    options: Dict[str, str],
    wrapped: bool = False,
    sharing: Iterable[str] = (),
    why_unknown: str = "",
) -> List[Dict[str, str]]:
    """Settings that make a switch slower or less safe, or may, each with its reason.

    ``why_unknown`` says why some of them are None.
    """
    graceful = graceful_timeout(options)
    found: List[Dict[str, str]] = []

    def add(setting: str, value: Any, wanted: str, why: str) -> None:
        shown_value = str(value).lower() if isinstance(value, bool) else str(value)
        found.append({"setting": setting, "value": shown_value, "wanted": wanted, "why": why})

    if program["stopsignal"] not in (None, "TERM"):
        why = (
            "HUP restarts the workers instead of stopping, so that supervisord kills the arbiter"
            " and orphans keep the port"
            if program["stopsignal"] == "HUP"
            else "gunicorn answers requests in flight with status 500 on QUIT and INT"
        )
        add("stopsignal", program["stopsignal"], "TERM", why)
    if program["stopasgroup"]:
        add(
            "stopasgroup",
            True,
            "false",
            "workers get TERM twice, which writes 'was sent SIGTERM!' and can set off the"
            " reentrant-call error while stopping",
        )
    if program["killasgroup"] is False:
        add(
            "killasgroup",
            False,
            "true",
            "when supervisord has to kill the arbiter, its workers live on and keep the port",
        )
    stopwaitsecs = program["stopwaitsecs"]
    if stopwaitsecs is not None and stopwaitsecs <= graceful:
        add(
            "stopwaitsecs",
            stopwaitsecs,
            str(graceful + 5),
            f"supervisord kills the arbiter before gunicorn's graceful timeout ({graceful} s)"
            " is over: requests in flight are lost or orphans keep the port",
        )
    if program["startsecs"] is not None and program["startsecs"] < STARTSECS:
        add(
            "startsecs",
            program["startsecs"],
            str(STARTSECS),
            "a gunicorn whose port is taken lives for 5.2 s, and supervisord calls that RUNNING",
        )
    unknown = [name for name in SETTINGS if program[name] is None]
    if unknown:
        add(
            ", ".join(unknown),
            "unknown",
            "to be read",
            f"{why_unknown or 'nobody tells'}; it is not taken for the default, so look yourself",
        )
    if wrapped:
        add(
            "command",
            redact(str(program["command"])),
            "a wrapper that ends in `exec gunicorn …`",
            "the wrapper keeps running as gunicorn's parent: signals of supervisord reach the"
            " wrapper only",
        )
    for other in sharing:
        add(
            "virtualenv",
            other,
            "a virtualenv of its own",
            "this other program runs from the same virtualenv, and is not restarted when the"
            " release is switched",
        )
    return found
