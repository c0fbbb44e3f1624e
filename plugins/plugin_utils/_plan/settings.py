# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Settings of gunicorn that a newer one removed, or means something else by.

The rows are all that ``tests/gunicorn_settings.py`` finds when it compares the settings of every
published version from 19.9.0 on, as far as that can meet a gunicorn that runs today. Options that
are only new are no row. A test compares the rows with the index.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._known_problems.versions import (
    version_key,
)

GAIOHTTP = ("gaiohttp", "gunicorn.workers.gaiohttp.AiohttpWorker")
EVENTLET = ("eventlet", "gunicorn.workers.geventlet.EventletWorker")


class Change(NamedTuple):
    """What becomes of a setting in version ``since``."""

    setting: str
    since: str
    kind: str
    """``removed``, ``value`` (some values are no longer taken), ``takes`` (the option was a switch
    and now takes the word after it), or ``default``."""
    options: tuple[str, ...]
    """How it is spelt on a command line; a long one may be cut short."""
    shortest: str
    """The shortest cut of the long one that means no other option."""
    values: tuple[str, ...]
    """Values that are no longer taken; for a default, the old and the new one."""
    variable: str
    """Environment variable from which the default is taken if it is set."""
    source: str


CHANGES = (
    Change(
        "worker_class",
        "20.0",
        "value",
        ("-k", "--worker-class"),
        "--worker-cl",
        GAIOHTTP,
        "",
        "gunicorn/workers/__init__.py, SUPPORTED_WORKERS of 19.10.0 and 20.0.0",
    ),
    Change(
        "tolerate_dangerous_framing",
        "23.0",
        "removed",
        ("--tolerate-dangerous-framing",),
        "--t",
        (),
        "",
        "gunicorn/config.py of 22.0.0 and 23.0.0",
    ),
    Change(
        "forwarded_allow_ips",
        "23.0",
        "default",
        ("--forwarded-allow-ips",),
        "--f",
        ("127.0.0.1", "127.0.0.1,::1"),
        "FORWARDED_ALLOW_IPS",
        "gunicorn/config.py of 22.0.0 and 23.0.0",
    ),
    Change(
        "proxy_allow_ips",
        "23.0",
        "default",
        ("--proxy-allow-from",),
        "--proxy-a",
        ("127.0.0.1", "127.0.0.1,::1"),
        "",
        "gunicorn/config.py of 22.0.0 and 23.0.0",
    ),
    Change(
        "proxy_protocol",
        "24.1",
        "takes",
        ("--proxy-protocol",),
        "--proxy-p",
        (),
        "",
        "gunicorn/config.py of 24.0.0 and 24.1.0: action store_true became nargs '?'",
    ),
    Change(
        "worker_class",
        "26.0",
        "value",
        ("-k", "--worker-class"),
        "--worker-cl",
        EVENTLET,
        "",
        "gunicorn/workers/__init__.py, SUPPORTED_WORKERS of 25.3.0 and 26.0.0",
    ),
)


class Use(NamedTuple):
    """Where a setting is set, and to what."""

    where: str
    value: Any
    follower: str
    """The word after it."""


def changes_for(settings: Mapping[str, Any], before: str, after: str) -> list[dict[str, str]]:
    """Return what of an application's settings a step from ``before`` to ``after`` touches.

    ``settings`` is what module ``plan_info`` saw. What cannot be seen is not claimed.
    """
    found = []
    for change in CHANGES:
        crosses = version_key(before) < version_key(change.since) <= version_key(after)
        effect = _effect(change, settings) if crosses and not settings["error"] else ""
        if effect:
            setting = {"setting": change.setting, "since": change.since, "effect": effect}
            found.append({**setting, "source": change.source})
    return found


def _effect(change: Change, settings: Mapping[str, Any]) -> str:
    use = _use(change, settings)
    if change.kind == "default":
        return _default(change, settings) if use is None else ""
    if use is None:
        return ""
    inside = use.where == "the configuration file"
    if change.kind == "removed":
        what = "is ignored without a word" if inside else "is an error: gunicorn does not start"
        return f"set in {use.where}; from {change.since} on it {what}"
    if change.kind == "value":
        name = str(use.value).rpartition("#")[2]
        if name not in change.values:
            return ""
        return f"{use.value} in {use.where}; gunicorn {change.since} has no such worker any more"
    if inside or not use.follower or use.follower.startswith("-"):
        return ""
    return (
        f"{change.options[-1]} stands before {use.follower} in {use.where}; from {change.since} on"
        " it takes that for its value and gunicorn does not start: put it before another option, or"
        f" {change.setting} = True into the configuration file"
    )


def _default(change: Change, settings: Mapping[str, Any]) -> str:
    if change.variable and change.variable in settings["environment"]:
        return ""
    # What a proxy may say matters to those only who listen to the proxy protocol.
    if change.setting == "proxy_allow_ips" and not _is_used("proxy_protocol", settings):
        return ""
    unless = "" if settings["whole"] else f", unless {settings['file']} sets it"
    return f"not set{unless}; its default goes from {change.values[0]} to {change.values[1]}"


def _is_used(name: str, settings: Mapping[str, Any]) -> bool:
    return any(_use(change, settings) for change in CHANGES if change.setting == name)


def _use(change: Change, settings: Mapping[str, Any]) -> Use | None:
    """Find the place that counts: command line, GUNICORN_CMD_ARGS, file, in this order."""
    for where, key in (
        ("the command line", "arguments"),
        ("GUNICORN_CMD_ARGS", "environment_arguments"),
    ):
        words: Sequence[str] = settings[key]
        # As gunicorn does it: the last one counts.
        for index in range(len(words) - 1, -1, -1):
            following = words[index + 1] if index + 1 < len(words) else ""
            value = _matches(words[index], following, change)
            if value is not None:
                return Use(where, value, following)
    if change.setting in settings["names"]:
        return Use("the configuration file", settings["names"][change.setting], "")
    return None


def _matches(word: str, following: str, change: Change) -> str | None:
    name, equals, value = word.partition("=")
    for option in change.options:
        if option.startswith("--"):
            if option.startswith(name) and name.startswith(change.shortest):
                return value if equals else following
        elif word.startswith(option) and not word.startswith("--"):
            return word[len(option) :] or following
    return None


def all_changes() -> Iterable[tuple[str, str, str]]:
    """Return (setting, since, kind) of every row, for the test that compares them."""
    return [(change.setting, change.since, change.kind) for change in CHANGES]
