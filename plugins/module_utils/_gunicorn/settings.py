# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a running gunicorn was told of its logs, and where: command line, environment, file.

Nothing is run. What only code could tell is unknown, and what is open counts for more anyway.
"""

import configparser
import json
import os
from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Optional

from ansible_collections.fleetops.gunicorn.plugins.module_utils._gunicorn.config_values import (
    UNKNOWN,
    read_values,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._gunicorn.options import (
    option_name,
    parse_options,
    split_words,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.processes import (
    Reader,
    gunicorn_arguments,
)

NAMES = ("accesslog", "errorlog", "loglevel", "logconfig", "logconfig_json", "logconfig_dict")
ERROR_LOGGER = "gunicorn.error"
LEVELS = {
    "NOTSET": 0,
    "DEBUG": 10,
    "INFO": 20,
    "WARN": 30,
    "WARNING": 30,
    "ERROR": 40,
    "CRITICAL": 50,
    "FATAL": 50,
}
INFO = LEVELS["INFO"]


class Setting(NamedTuple):
    """A value, and where it is said."""

    value: Any
    where: str


def configured(
    reader: Reader,
    cmdline: Iterable[str],
    environ: Mapping[str, str],
    command: Optional[str],
    places: Iterable[str],
) -> Dict[str, Setting]:
    """What gunicorn was told; of several the last counts: file, environment, command line.

    ``places`` are the directories that a relative path may be relative to, the likeliest first.
    """
    said = parse_options(gunicorn_arguments(cmdline) or split_words(command))
    inherited = parse_options(split_words(environ.get("GUNICORN_CMD_ARGS")))
    named = said.get("config") or inherited.get("config") or "gunicorn.conf.py"
    found: Dict[str, Setting] = {}
    path, text = _first_text(reader, named, places)
    if text:
        for name, value in read_values(text, NAMES, environ).items():
            found[name] = Setting(value, f"{name} in {path}")
    for options, where in ((inherited, "in GUNICORN_CMD_ARGS"), (said, "on the command line")):
        for name in NAMES:
            if name in options:
                found[name] = Setting(options[name], f"{option_name(name)} {where}")
    return found


def hiding(
    reader: Reader, settings: Mapping[str, Setting], places: Iterable[str]
) -> Optional[Setting]:
    """The level that keeps gunicorn's start out of its error log, and where it is set."""
    places = list(places)
    # As gunicorn does it: the first of these that is given, on top of the plain level.
    for name in ("logconfig_dict", "logconfig_json", "logconfig"):
        setting = settings.get(name)
        if setting is None or not setting.value:
            continue
        if setting.value is UNKNOWN:
            return None
        level = _level_of(_as_dict(reader, name, setting.value, places))
        if level is not None:
            return Setting(_name(level), setting.where) if level > INFO else None
        break
    plain = settings.get("loglevel")
    if plain is None or not isinstance(plain.value, str):
        return None
    level = LEVELS.get(plain.value.strip().upper(), INFO)
    return Setting(_name(level), plain.where) if level > INFO else None


def _name(level: int) -> str:
    return next(name for name, number in LEVELS.items() if number == level and name != "WARN")


def _as_dict(reader: Reader, name: str, value: Any, places: List[str]) -> Any:
    """What the logging of Python is configured with, as ``dictConfig`` takes it."""
    if name == "logconfig_dict":
        return value
    _path, text = _first_text(reader, str(value), places)
    if name == "logconfig_json":
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return None
    return _from_ini(text)


def _from_ini(text: str) -> Dict[str, Any]:
    """``fileConfig`` in the words of ``dictConfig``, as far as levels go."""
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(text)
    except configparser.Error:
        return {}
    loggers, handlers = {}, {}
    for section in parser.sections():
        kind, _sep, name = section.partition("_")
        options = dict(parser.items(section))
        if kind == "logger" and name:
            listed = [each.strip() for each in options.get("handlers", "").split(",")]
            loggers[options.get("qualname", name)] = {
                "level": options.get("level"),
                "handlers": [each for each in listed if each],
            }
        elif kind == "handler" and name:
            handlers[name] = {"level": options.get("level")}
    return {"loggers": loggers, "handlers": handlers}


def _level_of(config: Any) -> Optional[int]:
    """The least level that still comes through to a log of gunicorn's errors; None if not said."""
    if not isinstance(config, dict):
        return None
    logger = _part(_part(config, "loggers"), ERROR_LOGGER)
    if not logger:
        return None
    own = LEVELS.get(str(logger.get("level") or "").upper())
    names = logger.get("handlers")
    every = _part(config, "handlers")
    through = [
        LEVELS.get(str(_part(every, name).get("level") or "NOTSET").upper(), 0)
        for name in (names if isinstance(names, (list, tuple)) else [])
    ]
    if own is None and not any(through):
        return None
    return max(own or 0, min(through) if through else 0)


def _part(config: Mapping[str, Any], name: Any) -> Mapping[str, Any]:
    found = config.get(name) if isinstance(name, str) else None
    return found if isinstance(found, dict) else {}


def _first_text(reader: Reader, named: str, places: Iterable[str]) -> Any:
    """The first of the files that ``named`` may be which can be read: (path, text)."""
    if named.startswith("file:"):
        named = named[len("file:") :]
    for place in [""] if named.startswith("/") else [each for each in places if each]:
        path = os.path.normpath(os.path.join(place or "/", named))
        text = reader.text(path, 1 << 20)
        if text:
            return path, text
    return "", ""
