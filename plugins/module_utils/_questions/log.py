# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether the log of a gunicorn tells of trouble."""

import signal
import time
from typing import Any, Callable, Dict, List, Optional

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.catalogue import (
    custom_patterns,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.check import (
    Begin,
    Request,
    check_paths,
    look,
    parse_moment,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.coverage import Who, told
from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.facts import Window

# What `_module.runner` returns.
Runner = Callable[[List[str]], Optional[str]]

OPTIONS: Dict[str, Dict[str, Any]] = {
    "paths": {"type": "list", "elements": "str"},
    "program": {"type": "str"},
    "home": {"type": "str"},
    "manager": {
        "type": "str",
        "choices": ["supervisord", "systemd"],
        "default": "supervisord",
    },
    "systemd_scope": {"type": "str", "choices": ["system", "user"], "default": "system"},
    "supervisor_url": {"type": "str", "default": "unix:///run/supervisor.sock"},
    "supervisor_username": {"type": "str"},
    "supervisor_password": {"type": "str", "no_log": True},
    "since": {"type": "str"},
    "until": {"type": "str"},
    "arbiter_pid": {"type": "int"},
    "begin": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "path": {"type": "str"},
            "dev": {"type": "int", "required": True},
            "inode": {"type": "int", "required": True},
            "size": {"type": "int", "required": True},
        },
    },
    "progress": {"type": "dict", "default": {}},
    "keep_progress": {"type": "bool", "default": False},
    "cursor": {"type": "str"},
    "tolerance": {"type": "dict", "default": {}},
    "patterns": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "name": {"type": "str", "required": True},
            "regex": {"type": "str", "required": True},
            "severity": {
                "type": "str",
                "choices": ["critical", "error", "warning", "notice"],
                "default": "error",
            },
            "tolerance": {"type": "str", "default": "0"},
        },
    },
    "max_excerpts": {"type": "int", "default": 10},
    "gunicorn": {"type": "str"},
    "pattern_timeout": {"type": "float", "default": 30},
}
EITHER = [("paths", "program")]


class Budget:
    """Bounds the time spent in the operator's regular expressions: one may take for ever."""

    def __init__(self, seconds: float) -> None:
        self.left = seconds

    def __call__(self, name: str, work: Callable[[], Any]) -> Any:
        def expire(_number: int, _frame: Any) -> None:
            raise FleetError(
                f"patterns: {name!r} takes too long: all patterns together may take"
                " pattern_timeout seconds. Nested repetitions such as (a+)+ are the usual cause;"
                " simplify the regex."
            )

        # Python's regex engine looks for signals while it searches.
        before = signal.signal(signal.SIGALRM, expire)
        start = time.monotonic()
        signal.setitimer(signal.ITIMER_REAL, max(self.left, 0.001))
        try:
            return work()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
            self.left -= time.monotonic() - start


def ask(params: Dict[str, Any], run: Runner, advance: bool) -> Dict[str, Any]:
    """Return what module ``log_check`` does. With ``advance`` a cursor is moved on."""
    now = time.time()
    request = Request(
        paths=check_paths(
            program_logs(params, run) if params["paths"] is None else params["paths"]
        ),
        window=Window(
            parse_moment("since", params["since"], now),
            parse_moment("until", params["until"], now),
            params["arbiter_pid"] or None,
        ),
        cursor=params["cursor"] or "",
        tolerance=params["tolerance"],
        customs=tuple(custom_patterns(params["patterns"])),
        max_excerpts=params["max_excerpts"],
        gunicorn=params["gunicorn"] or "",
        advance=advance,
        progress=params["progress"],
        keep=params["keep_progress"],
        begin=tuple(Begin(it["dev"], it["inode"], it["size"]) for it in params["begin"]),
    )
    request = request._replace(living=who_lives(request.window))
    result = look(request, now, Budget(params["pattern_timeout"]))
    if request.window.arbiter_pid is not None:
        begin = {(it["dev"], it["inode"]): it["size"] for it in params["begin"]}
        who = Who(request.window.arbiter_pid, request.window.since, begin)
        result["tells"] = told(request.paths, who, now)
    return result


def who_lives(window: Window) -> Optional[Dict[int, float]]:
    """The processes of the generation that are alive, if it is the one that runs."""
    if window.arbiter_pid is None or window.since is None:
        return None
    # Only who asks for it pays for these imports.
    from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.machine import boottime
    from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.processes import Reader
    from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.live_processes import (
        living,
    )

    return living(Reader(), time.time() - boottime(), window.arbiter_pid, window.since)


def program_logs(params: Dict[str, Any], run: Runner) -> List[str]:
    """Ask the service manager where the program writes, and with O(home) gunicorn itself, too."""
    # Only who asks for it pays for these imports.
    from ansible_collections.fleetops.gunicorn.plugins.module_utils._service import managers

    if params["home"]:
        site = managers.open_site(params, run)
        manager = site.manager
        paths = site.report(site.observe())["logs"]
    else:
        manager = managers.open_manager(params)
        paths = manager.own_logs()
    found = [str(path) for path in paths if path and str(path).startswith("/")]
    found = [path for path in found if not path.startswith("/dev/")]
    if not found:
        raise FleetError(
            f"Asked where program {params['program']!r} writes its log, and {manager.word} names no"
            f" file. Set {manager.log_option()} in its configuration, or give paths."
        )
    return found
