# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""supervisord's own files: where they are, and the section of one process in them.

A process has the name that ``process_name`` of its section expands to, and the group that a
``[group:x]`` puts the section into; only where neither is said both are the section's own name.
"""

import configparser
import os
import re
from typing import Dict, Iterable, List, Mapping, NamedTuple, Optional, Set, Tuple

from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.processes import (
    Reader,
    read_environ,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._redact import redact
from ansible_collections.fleetops.gunicorn.plugins.module_utils._service.manager import Start

KINDS = ("program", "fcgi-program", "eventlistener")
MAX_PROCESSES = 10000
MAX_FILES = 1000
_USUAL = (
    "supervisord.conf",
    "etc/supervisord.conf",
    "/etc/supervisord.conf",
    "/etc/supervisor/supervisord.conf",
)
_PAIR = re.compile(r"""\s*([\w.-]+)\s*=\s*("[^"]*"|'[^']*'|[^,"']*)\s*(?:,|$)""")


class Section(NamedTuple):
    """What the files say of a process; a setting that is there and cannot be told is None."""

    settings: Dict[str, Optional[str]]
    # Why the section, or one of its settings, is not known; empty if all of it is.
    why: str


def parse_supervisor_config(
    texts: Iterable[str],
    group: str,
    name: str,
    expansions: Optional[Mapping[str, str]] = None,
) -> Dict[str, Optional[str]]:
    """The section of a process out of supervisord's files; {} if it is not there."""
    parser = _parser()
    for text in texts:
        _add(parser, text)
    return find_section(parser, group, name, expansions or {}).settings


def read_section(reader: Reader, supervisor_pid: int, group: str, name: str) -> Section:
    """What the files of this supervisord say about the process."""
    environ = read_environ(reader, supervisor_pid)
    known = _known(reader, environ)
    parser, why = _read(reader, supervisor_pid, environ, known)
    if parser is None:
        return Section({}, why)
    section = find_section(parser, group, name, known)
    denied = f"/proc/{supervisor_pid}/environ" in reader.denied
    if section.why and denied:
        return Section(section.settings, section.why + "; its environment may not be read")
    if section.why and why:
        return Section(section.settings, f"{section.why}; {why}")
    return section


def read_start(reader: Reader, supervisor_pid: int, told: str) -> Optional[Start]:
    """The command and the environment of the program whose command is told so, without secrets."""
    environ = read_environ(reader, supervisor_pid)
    known = _known(reader, environ)
    parser, _why = _read(reader, supervisor_pid, environ, known)
    return find_start(parser, told, known) if parser else None


def _known(reader: Reader, environ: Mapping[str, str]) -> Dict[str, str]:
    known = {f"ENV_{key}": value for key, value in environ.items()}
    node = reader.text("/proc/sys/kernel/hostname").strip()
    if node:
        known["host_node_name"] = node
    return known


# --- which section --------------------------------------------------------------------------------


def find_section(
    parser: configparser.RawConfigParser, group: str, name: str, known: Mapping[str, str]
) -> Section:
    """The section that this process comes from, its settings expanded as supervisord does it."""
    known = dict(known)
    for key, value in _pairs(parser.get("supervisord", "environment", fallback="")).items():
        text = _expand(value, known)
        if text is not None:
            known[f"ENV_{key}"] = text
    groups = _groups(parser)
    candidates = [
        section
        for section in parser.sections()
        if section.partition(":")[0] in KINDS
        and group in groups.get(_own_name(section), {_own_name(section)})
    ]
    for section in candidates:
        for expansions in _processes(parser, section, group, known):
            template = parser.get(section, "process_name", fallback="%(program_name)s").strip()
            if _expand(template, expansions) == name:
                return _expanded(parser, section, expansions)
    if len(candidates) == 1:
        # Its names cannot be told, but there is no other.
        expansions = dict(known, program_name=_own_name(candidates[0]), group_name=group)
        return _expanded(parser, candidates[0], expansions)
    return Section({}, "no section of supervisord's files makes a process of that name")


def find_start(
    parser: configparser.RawConfigParser, told: str, known: Mapping[str, str]
) -> Optional[Start]:
    """What of the files starts a command that is told so; None where that is not one thing."""
    known, own = dict(known), {}
    for key, value in _pairs(parser.get("supervisord", "environment", fallback="")).items():
        text = _expand(value, known)
        if text is None:
            return None
        own[key] = known[f"ENV_{key}"] = text
    groups = _groups(parser)
    found: List[Start] = []
    for section in parser.sections():
        if section.partition(":")[0] not in KINDS:
            continue
        name = _own_name(section)
        for group in sorted(groups.get(name, {name})):
            for expansions in _processes(parser, section, group, known):
                command = _expand(parser.get(section, "command", fallback=""), expansions)
                if not command or _as_told(command) != _as_told(told):
                    continue
                pairs = _pairs(parser.get(section, "environment", fallback=""))
                added = {key: _expand(value, expansions) for key, value in pairs.items()}
                if None in added.values():
                    return None
                found.append(Start(command, {**own, **{k: v or "" for k, v in added.items()}}))
    return found[0] if found and all(each == found[0] for each in found) else None


def _as_told(command: str) -> str:
    return redact(" ".join(command.split()))


def _own_name(section: str) -> str:
    return section.partition(":")[2].strip()


def _groups(parser: configparser.RawConfigParser) -> Dict[str, Set[str]]:
    """{program: the groups that name it}."""
    found: Dict[str, Set[str]] = {}
    for section in parser.sections():
        if section.startswith("group:"):
            for program in parser.get(section, "programs", fallback="").split(","):
                if program.strip():
                    found.setdefault(program.strip(), set()).add(_own_name(section))
    return found


def _processes(
    parser: configparser.RawConfigParser, section: str, group: str, known: Mapping[str, str]
) -> Iterable[Dict[str, str]]:
    """What can be put in for each process of a section."""
    base = dict(known, program_name=_own_name(section), group_name=group)
    count = _number(_expand(parser.get(section, "numprocs", fallback="1"), base), 1)
    first = _number(_expand(parser.get(section, "numprocs_start", fallback="0"), base), 0)
    environment = _pairs(parser.get(section, "environment", fallback=""))
    for number in range(first, first + min(count, MAX_PROCESSES)):
        expansions = dict(base, process_num=str(number), numprocs=str(count))
        for key, value in environment.items():
            text = _expand(value, expansions)
            if text is not None:
                expansions[f"ENV_{key}"] = text
        yield expansions


def _expanded(
    parser: configparser.RawConfigParser, section: str, expansions: Mapping[str, str]
) -> Section:
    # A program's own environment is not told anyway, and may hold anything.
    settings = {
        key: value if key == "environment" else _expand(value, expansions)
        for key, value in parser.items(section)
    }
    unknown = [key for key, value in settings.items() if value is None]
    why = f"in [{section}], {', '.join(sorted(unknown))} cannot be expanded" if unknown else ""
    return Section(settings, why)


def _expand(text: Optional[str], expansions: Mapping[str, str]) -> Optional[str]:
    """``%(name)s`` and ``%(process_num)02d`` put in; None if something is not known."""
    if text is None or "%" not in text:
        return text
    values: Dict[str, object] = dict(expansions)
    for name in ("process_num", "numprocs"):
        if name in values:
            values[name] = int(str(values[name]))
    try:
        return text % values
    except (KeyError, ValueError, TypeError, MemoryError, OverflowError):
        return None


def _pairs(text: str) -> Dict[str, str]:
    return {match.group(1): match.group(2).strip("\"' ") for match in _PAIR.finditer(text)}


def _number(text: Optional[str], default: int) -> int:
    return int(text) if text and text.strip().isdigit() else default


# --- the files ------------------------------------------------------------------------------------


def _parser() -> configparser.RawConfigParser:
    return configparser.RawConfigParser(inline_comment_prefixes=(";", "#"), strict=False)


def _add(parser: configparser.RawConfigParser, text: str, here: str = "") -> bool:
    try:
        parser.read_string(text.replace("%(here)s", here) if here else text)
    except configparser.Error:
        return False
    return True


def _read(
    reader: Reader, pid: int, environ: Mapping[str, str], known: Mapping[str, str]
) -> Tuple[Optional[configparser.RawConfigParser], str]:
    """supervisord's file and those it includes, as far as they can be found; and what cannot."""
    words = reader.text(f"/proc/{pid}/cmdline").split("\0")
    named = _named_file(words)
    starts = [reader.link(f"/proc/{pid}/cwd") or "/", environ.get("PWD") or "/"]
    paths = [
        os.path.join(start, each) for each in ([named] if named else _USUAL) for start in starts
    ]
    for path in dict.fromkeys(paths):
        text = reader.text(path)
        if text:
            break
    else:
        return None, f"supervisord's configuration ({named or 'its usual files'}) cannot be read"
    here = os.path.dirname(path)
    parser = _parser()
    if not _add(parser, text, here):
        return None, f"{path} cannot be understood"
    files = _expand(parser.get("include", "files", fallback=""), dict(known, here=here))
    if files is None:
        return parser, f"the files of [include] in {path} cannot be expanded"
    doubts = []
    for pattern in files.split():
        for name in reader.glob(os.path.join(here, pattern))[:MAX_FILES]:
            text = reader.text(name)
            if not text and name in reader.denied:
                doubts.append(f"{name} may not be read")
            elif not _add(parser, text, os.path.dirname(name)):
                doubts.append(f"{name} cannot be understood")
    return parser, "; ".join(doubts[:3])


def _named_file(words: List[str]) -> str:
    """The file that ``-c`` names, in any of the spellings of getopt."""
    for index, word in enumerate(words):
        following = words[index + 1] if index + 1 < len(words) else ""
        if word.startswith("--c") and "--configuration".startswith(word.partition("=")[0]):
            return word.partition("=")[2] if "=" in word else following
        match = re.match(r"^-[nkt]*c(.*)$", word)
        if match:
            return match.group(1) or following
    return ""
