# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a release is to hold, as text: read, rewrite and redact requirements.

The gunicorn of the stage wins over whatever pin a file has, because a file with
``gunicorn==20.0.1`` in it is what every fleet that is to be upgraded has.
"""

import os
import re
from typing import Callable, List, NamedTuple, Optional, Sequence, Tuple
from urllib.parse import unquote, urlsplit

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages import pep440

# What its readers compare versions with.
version_tuple = pep440.numbers
same_version = pep440.same

_NAME = re.compile(r"^([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(\[[^\]]*\])?\s*(.*)$")
_VERSION = re.compile(r"^[0-9]+(\.[0-9]+)*((a|b|rc|\.post|\.dev)[0-9]+)*(\+[A-Za-z0-9.]+)?$")
_HASH = re.compile(r"\s--hash[= ]\s*([a-z0-9]+:[0-9a-fA-F]+)")
_COMMENT = re.compile(r"(^|\s)#.*$")

# uv takes these in a file or passes over them; with any other, pip must do the work.
_OPTIONS_OF_BOTH = (
    "-i",
    "--index-url",
    "--extra-index-url",
    "-f",
    "--find-links",
    "--no-index",
    "--no-binary",
    "--only-binary",
    "--require-hashes",
    "--prefer-binary",
    "--pre",
)
_INCLUDES = ("-r", "--requirement", "-c", "--constraint")
_EDITABLES = ("-e", "--editable")
_MAX_INCLUDES = 50

# A password may hold an @ itself.
# Bounded: a long word must not take for ever.
_URL_USER = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,31}://)[^/\s'\"]*@")
_URL_QUERY = re.compile(
    r"([?&;][\w-]{0,64}(?:token|key|secret|password|passwd|signature|sig|credential)[\w-]{0,64}=)"
    r"[^&\s'\"]+",
    re.IGNORECASE,
)


def redact(text: str) -> str:
    """The text without the credentials of the URLs in it."""
    return _URL_QUERY.sub(r"\1***", _URL_USER.sub(r"\1***@", text))


def canonical(name: str) -> str:
    """The one spelling of a project's name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def check_version(version: str) -> str:
    """Refuse what is not one exact version, before it reaches a command line or a path."""
    if not _VERSION.match(version):
        raise FleetError(
            f"gunicorn: one exact version such as 23.0.0 is wanted, got {version!r}; ranges and "
            "names do not make a stage that means the same on every host"
        )
    return version


class Line(NamedTuple):
    """One logical line: comments gone, continuations joined."""

    number: int
    text: str


def logical_lines(text: str) -> List[Line]:
    """The lines that say something."""
    lines: List[Line] = []
    number, pending, start = 0, "", 0
    for number, raw in enumerate(text.lstrip("\ufeff").splitlines(), 1):
        start = start or number
        if raw.rstrip().endswith("\\") and not raw.lstrip().startswith("#"):
            pending += raw.rstrip()[:-1] + " "
            continue
        whole = _COMMENT.sub("", pending + raw).strip()
        if whole:
            lines.append(Line(start, re.sub(r"\s+", " ", whole)))
        pending, start = "", 0
    if pending.strip():
        lines.append(Line(start or number, re.sub(r"\s+", " ", pending.strip())))
    return lines


def _option(text: str) -> Tuple[str, str]:
    """A line that starts with a dash, as (option, value)."""
    match = re.match(r"^(--[a-z-]+|-[a-zA-Z])\s*=?\s*(.*)$", text)
    return (match.group(1), match.group(2).strip("'\" ")) if match else (text, "")


def _is_local(text: str) -> bool:
    """Whether a line names a place in the file system by a relative path."""
    target = text.split(" @ ", 1)[-1].strip()
    if target.startswith(("./", "../", "~", "file:.")) or target == ".":
        return True
    # "dir/name" or "x.whl": not a name, not a URL, not an absolute path.
    first = target.split(";")[0].split(" ")[0]
    return (
        "://" not in first
        and not first.startswith(("/", "file:"))
        and ("/" in first or first.endswith((".whl", ".tar.gz", ".zip")))
    )


def _why_not_editable(value: str) -> str:
    """What to write instead of an editable requirement."""
    shown = redact(value)
    match = re.match(r"^(?:git|hg|svn|bzr)\+", value)
    if not match:
        return (
            f"-e {shown} is editable: the release would change whenever that directory does. List "
            "the packages it needs instead, or a built wheel."
        )
    url, _hash, fragment = value.partition("#")
    name = re.search(r"(?:^|&)egg=([A-Za-z0-9._-]+)", fragment)
    known = name.group(1) if name else "NAME"
    more = [part for part in fragment.split("&") if part and not part.startswith("egg=")]
    instead = f"{known} @ {redact(url)}" + ("#" + "&".join(more) if more else "")
    return (
        f"-e {shown} is editable: it would be a checkout beside the release, which can change. "
        f"Without -e it is installed from the repository: `{instead}`"
        + (
            ""
            if re.search(r"@[^/@]+$", url.split("://", 1)[-1].partition("/")[2])
            else ", with a commit or a tag (`...@1.2.3`), so that every server gets the same"
        )
        + "."
    )


def local_paths(lines: Sequence[Line]) -> List[str]:
    """The files and directories of the host that requirements name; not where to look for more."""
    found = []
    for line in lines:
        if line.text.startswith("-"):
            continue
        text = _HASH.sub("", " " + line.text).strip().split(" ;")[0].split(" --")[0].strip()
        named = re.match(r"^[A-Za-z0-9][A-Za-z0-9._-]*\s*(?:\[[^\]]*\])?\s*@\s*(.+)$", text)
        target = (named.group(1) if named else text).strip()
        if target.startswith("file:"):
            target = unquote(urlsplit(target).path)
        if not target.startswith("/"):
            continue
        found.append(re.sub(r"(\[[^\]]*\])?(;.*)?$", "", target).rstrip("/") or "/")
    return sorted(set(found))


def link_places(lines: Sequence[Line]) -> List[str]:
    """The directories of the host in which an installer is to look for packages."""
    found = []
    for line in lines:
        option, value = _option(line.text) if line.text.startswith("-") else ("", "")
        if option in ("-f", "--find-links"):
            path = unquote(urlsplit(value).path) if value.startswith("file:") else value
            if path.startswith("/"):
                found.append(path.rstrip("/") or "/")
    return sorted(set(found))


class Flat(NamedTuple):
    """A requirements file with its includes in place."""

    lines: Tuple[Line, ...]
    constraints: Tuple[Line, ...]


Reader = Callable[[str], str]


def flatten(
    text: str, source: str, base: str = "", read: Optional[Reader] = None, depth: int = 0
) -> Flat:
    """Put the files that a file includes into it.

    ``read`` gets an absolute path; without it (the text came from another machine)
    an include is an error, because what it names is not here.
    """
    lines: List[Line] = []
    constraints: List[Line] = []
    for line in logical_lines(text):
        option, value = _option(line.text) if line.text.startswith("-") else ("", "")
        where = f"{source} line {line.number}"
        if option in _INCLUDES:
            if read is None:
                raise FleetError(
                    f"{where}: {line.text!r} includes another file, which does not travel with "
                    "this one to the host. Flatten it (`pip-compile`, `uv pip compile`) or give "
                    "app_requirements as an absolute path of a file on the host."
                )
            if depth >= _MAX_INCLUDES:
                raise FleetError(f"{where}: files include each other without end")
            path = os.path.normpath(os.path.join(base, value))
            inner = flatten(read(path), path, os.path.dirname(path), read, depth + 1)
            target = lines if option in ("-r", "--requirement") else constraints
            target.extend(inner.lines)
            constraints.extend(inner.constraints)
        elif option in _EDITABLES:
            raise FleetError(f"{where}: {_why_not_editable(value)}")
        elif (not option and _is_local(line.text)) or (
            option in ("-f", "--find-links") and "://" not in value and not value.startswith("/")
        ):
            raise FleetError(
                f"{where}: {line.text!r} is a relative path, which means nothing at the place "
                "where the release is built. Give an absolute path on the host, or a version."
            )
        else:
            lines.append(line)
    return Flat(tuple(lines), tuple(constraints))


class Prepared(NamedTuple):
    """What the installer is given, and what of it may be written down."""

    text: str
    constraints: str
    hashed: bool
    pip_only: bool
    recorded: Tuple[str, ...]
    # The same as it is, if it holds what must not be written down; empty if not.
    secret: str = ""


def _split(line: str) -> Tuple[str, str, str, Tuple[str, ...]]:
    """(name, extras, rest, hashes) of a requirement."""
    hashes = tuple(_HASH.findall(" " + line))
    match = _NAME.match(_HASH.sub("", " " + line).strip())
    if not match:
        return "", "", line, hashes
    return canonical(match.group(1)), match.group(2) or "", match.group(3).strip(), hashes


def _extras(groups: Sequence[str]) -> str:
    names = sorted({e.strip() for g in groups for e in g.strip("[]").split(",") if e.strip()})
    return "[{}]".format(",".join(names)) if names else ""


def _needs_pkg_resources(gunicorn: str) -> bool:
    """20.x and older import pkg_resources, which the newest setuptools no longer has."""
    return version_tuple(gunicorn) < (21,)


def prepare(
    flat: Flat, gunicorn: str, source: str, require_hashes: bool = False, setuptools: bool = False
) -> Prepared:
    """The text for the installer: the file's, with the stage's gunicorn in it.

    ``setuptools`` asks for one that still has pkg_resources (the venv it is carried
    from has one, so the app may import it).
    """
    check_version(gunicorn)
    kept: List[str] = []
    options: List[str] = []
    extras: List[str] = []
    pins: List[Tuple[str, Tuple[str, ...]]] = []
    names = set()
    bare: List[str] = []
    pip_only = False
    hashed = require_hashes
    for line in flat.lines:
        if line.text.startswith("-"):
            option = _option(line.text)[0]
            hashed = hashed or option == "--require-hashes"
            pip_only = pip_only or option not in _OPTIONS_OF_BOTH
            if option != "--require-hashes":
                options.append(line.text)
            continue
        name, extra, rest, hashes = _split(line.text)
        hashed = hashed or bool(hashes)
        if name == "gunicorn":
            extras.append(extra)
            pins.append((rest, hashes))
            continue
        pip_only = pip_only or " --" in _HASH.sub("", line.text)
        names.add(name)
        kept.append(line.text)
        # Whether a marker holds is the installer's to say.
        if not hashes and "#sha256=" not in line.text and ";" not in line.text:
            bare.append(redact(line.text)[:80])
    pin = f"gunicorn{_extras(extras)}=={gunicorn}"
    if hashed:
        pin += "".join(f" --hash={value}" for value in _pinned_hashes(pins, gunicorn, source))
    if hashed and bare:
        raise FleetError(
            f"{source}: hashes are required, and some requirements have none: "
            f"{', '.join(bare[:10])}. Every package, those that others ask for included, needs a "
            "pin with a hash (`pip-compile --generate-hashes`)."
        )
    kept.append(pin)
    if (setuptools or _needs_pkg_resources(gunicorn)) and "setuptools" not in names:
        if not hashed:
            kept.append("setuptools<81")
        elif _needs_pkg_resources(gunicorn):
            raise FleetError(
                f"{source}: gunicorn {gunicorn} needs setuptools<81 (it imports pkg_resources), "
                "and with hashes nothing can be added: pin setuptools, with its hash, in the file"
            )
    constraints = [
        line.text
        for line in flat.constraints
        if not line.text.startswith("-") and _split(line.text)[0] != "gunicorn"
    ]
    text = "\n".join(options + sorted(set(kept))) + "\n"
    asked = options + sorted(set(kept)) + ["-c " + c for c in constraints]
    recorded = tuple(redact(line) for line in asked)
    return Prepared(
        text=text,
        constraints="\n".join(constraints) + "\n" if constraints else "",
        hashed=hashed,
        pip_only=pip_only,
        recorded=recorded,
        secret="" if list(recorded) == asked else "\n".join(asked),
    )


def _pinned_hashes(
    pins: Sequence[Tuple[str, Tuple[str, ...]]], gunicorn: str, source: str
) -> List[str]:
    """The file's hashes for the stage's gunicorn: it may pin one gunicorn for every stage."""
    found: List[str] = []
    others: List[str] = []
    for rest, hashes in pins:
        match = re.match(r"^={2,3}\s*([^\s;,]+)", rest)
        version = match.group(1) if match else ""
        if version and same_version(version, gunicorn):
            found.extend(hashes)
        else:
            others.append(version or rest or "(no version)")
    if found:
        return found
    has = "hashes for gunicorn {}".format(", ".join(others)) if others else "no line for gunicorn"
    raise FleetError(
        f"{source}: hashes are required and the stage wants gunicorn {gunicorn}, but the file has "
        f"{has}. Add a line `gunicorn=={gunicorn} --hash=sha256:...` (`pip hash`, `pip-compile "
        "--generate-hashes`); lines for several versions may stand side by side, each stage takes "
        "its own."
    )
