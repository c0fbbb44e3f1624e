# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which of the Pythons found to take; where to look is in python_places.py.

Nothing here runs or reads anything: the file system comes as ``glob``, a Python's answer
about itself as ``probe``.
"""

import os
import re
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.requirements import (
    version_tuple,
)

# Asked of a candidate. Plain enough for any Python, so that a wrong one answers too.
PROBE = r"""
import json, os, platform, sys, sysconfig
info = {"version": platform.python_version(), "implementation": platform.python_implementation(),
        "executable": sys.executable, "prefix": sys.prefix, "platform": sysconfig.get_platform(),
        "libc": "-".join(platform.libc_ver())}
base = getattr(sys, "real_prefix", None) or getattr(sys, "base_prefix", sys.prefix)
info["base_prefix"] = base
info["base_executable"] = getattr(sys, "_base_executable", None)
try:
    import venv
    info["venv"] = True
except ImportError:
    info["venv"] = False
info["pip_wheel"] = None
places = [sysconfig.get_config_var("WHEEL_PKG_DIR"), "/usr/share/python-wheels"]
try:
    import ensurepip
    places.insert(0, os.path.join(os.path.dirname(ensurepip.__file__), "_bundled"))
    for place in places:
        names = os.listdir(place) if place and os.path.isdir(place) else []
        wheels = sorted(n for n in names if n.startswith("pip-") and n.endswith(".whl"))
        if wheels:
            info["pip_wheel"] = os.path.join(place, wheels[-1])
            break
except ImportError:
    pass
info["markers"] = {
    "os_name": os.name, "sys_platform": sys.platform, "platform_machine": platform.machine(),
    "platform_python_implementation": platform.python_implementation(),
    "platform_system": platform.system(), "python_full_version": platform.python_version(),
    "python_version": ".".join(platform.python_version().split(".")[:2]),
    "implementation_name": getattr(getattr(sys, "implementation", None), "name", "cpython"),
}
print(json.dumps(info))
"""


class Interpreter(NamedTuple):
    """What a Python says of itself."""

    # The real executable of the base installation, never one inside a virtualenv.
    executable: str
    version: str
    implementation: str
    platform: str
    venv: bool
    pip_wheel: str
    markers: Dict[str, str]

    @property
    def minor(self) -> str:
        """ "3.11" of "3.11.7"."""
        return ".".join(self.version.split(".")[:2])


class Probed(NamedTuple):
    """The outcome of asking one candidate: an interpreter, or why there is none."""

    interpreter: Optional[Interpreter]
    why: str = ""


class Found(NamedTuple):
    """The Python to take, if any, and everything that was looked at."""

    interpreter: Optional[Interpreter]
    searched: Tuple[str, ...]
    # What was there and would not do: "/usr/bin/python3: 3.9.2".
    refused: Tuple[str, ...]


Glob = Callable[[str], List[str]]
Probe = Callable[[str], Probed]

_WANTED = re.compile(r"^(\d+)(?:\.(\d+))?(?:\.(\d+))?$")


def check_wanted(wanted: str) -> str:
    """Refuse what is neither a version nor an absolute path."""
    if not os.path.isabs(wanted) and not _WANTED.match(wanted):
        raise FleetError(
            "python: a version such as 3.11 or 3.11.7, or the absolute path of an interpreter, is "
            f"wanted, got {wanted!r}"
        )
    return wanted


def matches(version: str, wanted: str) -> bool:
    """Whether "3.11.7" is a "3.11": compared number by number, 3.1 is not 3.11."""
    parts = wanted.split(".")
    return version.split(".")[: len(parts)] == parts


def parse_probe(answer: Dict[str, Any]) -> Interpreter:
    """The interpreter out of a candidate's answer.

    A venv's Python answers for the Python it was made from: a release made from a
    virtualenv would die with it.
    """
    executable = str(answer.get("executable") or "")
    version = str(answer["version"])
    base = str(answer["base_prefix"])
    if base != str(answer["prefix"]):
        inner = str(answer.get("base_executable") or "")
        prefix_of_inner = os.path.dirname(os.path.dirname(inner)) if inner else ""
        minor = ".".join(version.split(".")[:2])
        executable = (
            inner
            if inner and inner != executable and prefix_of_inner != str(answer["prefix"])
            else os.path.join(base, "bin", "python" + minor)
        )
    return Interpreter(
        executable=executable,
        version=version,
        implementation=str(answer["implementation"]),
        platform="{}-{}".format(answer["platform"], answer.get("libc") or "libc"),
        venv=bool(answer["venv"]),
        pip_wheel=str(answer.get("pip_wheel") or ""),
        markers={str(k): str(v) for k, v in dict(answer["markers"]).items()},
    )


def _newest_first(paths: Sequence[str]) -> List[str]:
    """Paths that differ in a version number, highest first."""
    return sorted(
        paths,
        key=lambda p: [(0, int(x)) if x.isdigit() else (1, 0) for x in re.findall(r"\d+|\D+", p)],
        reverse=True,
    )


def candidates(places: Sequence[str], glob: Glob) -> List[str]:
    """The files that the patterns find, each once."""
    found: List[str] = []
    for place in places:
        hits = glob(place) if re.search(r"[*?\[]", place) else [place]
        names = [h for h in hits if re.match(r"^(python|pypy)[0-9.]*$", os.path.basename(h))]
        # An absolute path given by the operator is taken at its word, whatever its name.
        found += (
            _newest_first(names)
            if len(hits) > 1
            else (names or list(places[:1]) * (len(places) == 1))
        )
    return list(dict.fromkeys(found))


def find(wanted: str, places: Sequence[str], glob: Glob, probe: Probe, have_uv: bool) -> Found:
    """The first candidate that is the wanted Python and can make a venv.

    Without uv the Python must bring pip (Debian's, without its -venv package, does not).
    """
    check_wanted(wanted)
    refused: List[str] = []
    # The directories say it; under which names they were looked through does not help.
    searched = tuple(dict.fromkeys(p if p == wanted else os.path.dirname(p) for p in places))
    for path in candidates(places, glob):
        probed = probe(path)
        if probed.interpreter is None:
            if probed.why:
                refused.append(f"{path}: {probed.why}")
            continue
        it = probed.interpreter
        if not os.path.isabs(wanted) and not matches(it.version, wanted):
            continue
        problem = unfit(it, have_uv)
        if not problem:
            return Found(it, searched, tuple(refused))
        refused.append(f"{path}: {problem}")
    return Found(None, searched, tuple(refused))


def unfit(it: Interpreter, have_uv: bool) -> str:
    """Why a Python cannot make a virtualenv; empty if it can."""
    minor = it.minor
    if it.version.split(".")[0] != "3" or int(it.version.split(".")[1]) < 6:
        return f"Python {it.version} is older than 3.6"
    if not it.venv:
        return (
            f"Python {it.version} has no venv module (Debian and Ubuntu: apt install "
            f"python{minor}-venv)"
        )
    # uv is not used below 3.8.
    if not it.pip_wheel and (not have_uv or version_tuple(it.version) < (3, 8)):
        return (
            f"Python {it.version} has no ensurepip and there is no uv to do without it (Debian and "
            f"Ubuntu: apt install python{minor}-venv)"
        )
    return ""


def not_found(wanted: str, found: Found) -> str:
    """What to tell the operator."""
    text = f"Python {wanted} was not found."
    if os.path.isabs(wanted):
        text = f"{wanted} is no usable Python."
    if found.refused:
        text += " There, but of no use: {}.".format("; ".join(found.refused[:6]))
    return text + (
        " Looked at: {}. Install it, or set release_python_provider to apt or uv.".format(
            ", ".join(found.searched[:40])
        )
        if not os.path.isabs(wanted)
        else " Give a version, or the path of a Python that runs."
    )
