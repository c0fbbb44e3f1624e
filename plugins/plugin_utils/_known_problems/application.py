# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a known problem may depend on: how an application uses gunicorn.

From its command line, its environment and its configuration file, as modules ``gunicorn_info`` and
``plan_info`` saw them. What cannot be seen is not known, and may be so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

_NATIVE = ("sync", "gthread", "gevent", "gevent_wsgi", "gevent_pywsgi", "eventlet", "asgi")
_OTHERS_PARSER = ("uvicorn", "uvicorn_worker", "tornado", "aiohttp", "daphne")
_CLASSES = {
    "gunicorn.workers.sync.SyncWorker": "sync",
    "gunicorn.workers.gthread.ThreadWorker": "gthread",
    "gunicorn.workers.ggevent.GeventWorker": "gevent",
    "gunicorn.workers.ggevent.GeventPyWSGIWorker": "gevent_pywsgi",
    "gunicorn.workers.geventlet.EventletWorker": "eventlet",
    "gunicorn.workers.gtornado.TornadoWorker": "tornado",
    "gunicorn.workers.gasgi.ASGIWorker": "asgi",
}
# Setting: how it is spelt on a command line; a switch takes no word.
_SPELLINGS = {
    "worker_class": ("-k", "--worker-class"),
    "threads": ("--threads",),
    "max_requests": ("--max-requests",),
    "http_protocols": ("--http-protocols",),
    "dirty_apps": ("--dirty-app",),
}
_SWITCHES = {
    "reuse_port": "--reuse-port",
    "preload_app": "--preload",
    "control_socket_disable": "--no-control-socket",
}
# Code of the operator's that runs in the arbiter.
_HOOKS = (
    "on_starting",
    "on_reload",
    "when_ready",
    "pre_fork",
    "pre_exec",
    "nworkers_changed",
    "child_exit",
)


class Condition(NamedTuple):
    """Something that an application does or does not."""

    name: str
    words: str
    usual: bool = True
    """Whether so many do it that advice reckons with it where it is not known."""


PARSER = Condition("parser", "if gunicorn's own worker reads the requests (not uvicorn's)")
GTHREAD = Condition("gthread", "with worker_class gthread, or threads above 1")
RECYCLED_THREADS = Condition(
    "recycled_threads", "with max_requests, and gthread or threads above 1", usual=False
)
EVENTLET = Condition("eventlet", "with worker_class eventlet", usual=False)
ASGI = Condition("asgi", "with worker_class asgi, gunicorn's own", usual=False)
REUSE_PORT = Condition("reuse_port", "with reuse_port", usual=False)
CONTROL = Condition("control", "unless control_socket_disable is set")
CHILDREN = Condition("children", "with preload_app, or hooks that may start processes")
DIRTY = Condition("dirty", "with dirty_apps", usual=False)
HTTP2 = Condition("http2", "with h2 in http_protocols", usual=False)
CONDITIONS = (
    *(PARSER, GTHREAD, RECYCLED_THREADS, EVENTLET, ASGI),
    *(REUSE_PORT, CONTROL, CHILDREN, DIRTY, HTTP2),
)


class Application(NamedTuple):
    """By the name of a condition whether it holds; None where that is not known."""

    facts: Mapping[str, bool | None]

    def may_be(self, condition: Condition) -> bool:
        return self.facts.get(condition.name) is not False

    def is_so(self, condition: Condition) -> bool:
        return self.facts.get(condition.name) is True


def application_of(settings: Mapping[str, Any] | None) -> Application | None:
    """What is known of an application; nothing without ``settings`` that could be seen.

    ``settings`` is what modules ``gunicorn_info`` and ``plan_info`` return under that name.
    """
    if not settings or settings.get("error"):
        return None
    seen = _Seen(settings)
    workers = _worker_class(seen)
    known = workers is not None
    threads = workers == "gthread" if known else None
    switch = {name: seen.switch(name) for name in _SWITCHES}
    protocols = seen.value("http_protocols", "")
    return Application(
        {
            "parser": _own_parser(workers),
            "gthread": threads,
            "recycled_threads": _both(threads, _recycled(seen)),
            "eventlet": workers == "eventlet" if known else None,
            "asgi": workers == "asgi" if known else None,
            "reuse_port": switch["reuse_port"],
            "control": _not(switch["control_socket_disable"]),
            "children": _either(switch["preload_app"], seen.any_of(_HOOKS)),
            "dirty": seen.any_of(("dirty_apps",)),
            "http2": None if protocols is None else "h2" in str(protocols),
        }
    )


class _Seen:
    """The settings, by the place that counts: command line, GUNICORN_CMD_ARGS, file."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._words: list[Sequence[str]] = [
            list(settings.get(place) or []) for place in ("arguments", "environment_arguments")
        ]
        self._names: Mapping[str, Any] = settings.get("names") or {}
        self._whole = bool(settings.get("whole"))

    def value(self, name: str, default: Any) -> Any:
        """Its value; None if that is not known."""
        for words in self._words:
            for index in range(len(words) - 1, -1, -1):
                following = words[index + 1] if index + 1 < len(words) else ""
                value = _value(words[index], following, _SPELLINGS[name])
                if value is not None:
                    return value
        if name in self._names:
            return self._names[name]
        return default if self._whole else None

    def switch(self, name: str) -> bool | None:
        if any(word == _SWITCHES[name] for words in self._words for word in words):
            return True
        if name in self._names:
            value = self._names[name]
            return value if isinstance(value, bool) else None
        return False if self._whole else None

    def any_of(self, names: Sequence[str]) -> bool | None:
        """Whether one of them is set at all."""
        spellings = [each for name in names for each in _SPELLINGS.get(name, ())]
        if any(word.partition("=")[0] in spellings for words in self._words for word in words):
            return True
        if any(name in self._names for name in names):
            return True
        return False if self._whole else None


def _value(word: str, following: str, spellings: Sequence[str]) -> str | None:
    name, equals, value = word.partition("=")
    for spelling in spellings:
        if spelling.startswith("--"):
            if name == spelling:
                return value if equals else following
        elif word.startswith(spelling) and not word.startswith("--"):
            return word[len(spelling) :] or following
    return None


def _worker_class(seen: _Seen) -> str | None:
    named = seen.value("worker_class", "sync")
    if named is None:
        return None
    name = _CLASSES.get(str(named), str(named).rpartition("#")[2])
    if name != "sync":
        return name
    threads = seen.value("threads", 1)
    if threads is None:
        return None
    return "gthread" if str(threads).isdigit() and int(threads) > 1 else "sync"


def _recycled(seen: _Seen) -> bool | None:
    """Whether workers retire after some requests."""
    most = seen.value("max_requests", 0)
    return int(most) > 0 if str(most).isdigit() else None


def _own_parser(workers: str | None) -> bool | None:
    if workers in _NATIVE:
        return True
    package = (workers or "").partition(".")[0]
    return False if package in _OTHERS_PARSER else None


def _not(known: bool | None) -> bool | None:
    return None if known is None else not known


def _both(one: bool | None, other: bool | None) -> bool | None:
    if one is False or other is False:
        return False
    return None if one is None or other is None else True


def _either(one: bool | None, other: bool | None) -> bool | None:
    if one or other:
        return True
    return None if one is None or other is None else False
