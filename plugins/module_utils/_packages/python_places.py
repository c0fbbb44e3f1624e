# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""In which places a Python may be, best first: on a managed host, for the demo and for the tests.

Nothing here reads anything: what a process was told about its machine comes as ``Told``.
"""

import os
from typing import List, Mapping, NamedTuple, Sequence, Tuple


class Told(NamedTuple):
    """What leads to Pythons."""

    # Absolute directories in which commands are looked for, without those of shims.
    commands: Tuple[str, ...]
    # Where pyenv and its kin keep their versions, besides the usual places.
    managers: Tuple[str, ...]
    # Where uv keeps its Pythons, besides the usual places.
    uv: Tuple[str, ...]
    # Homes under which version managers are looked for.
    homes: Tuple[str, ...]


def told_by(environ: Mapping[str, str], homes: Sequence[str]) -> Told:
    """What an environment tells; ``homes`` is all of them that may be looked at.

    A shim runs whatever the current directory asks for, so it is never taken. The directory of
    shims tells where the real ones are, and does so under another HOME as well.
    """
    path = environ.get("PATH") or os.defpath
    directories = [os.path.normpath(d) for d in path.split(os.pathsep) if os.path.isabs(d)]
    shims = [d for d in directories if os.path.basename(d) == "shims"]
    uv = [environ.get("UV_PYTHON_INSTALL_DIR", "")]
    if environ.get("XDG_DATA_HOME"):
        uv.append(os.path.join(environ["XDG_DATA_HOME"], "uv/python"))
    managers = [environ.get("PYENV_ROOT", "")] + [os.path.dirname(d) for d in shims]
    return Told(
        _once([d for d in directories if d not in shims] + ["/usr/local/bin", "/usr/bin"]),
        _once([d for d in managers if os.path.isabs(d)]),
        _once([d for d in uv if os.path.isabs(d)]),
        _once(homes),
    )


def patterns(wanted: str, told: Told, extra: Sequence[str] = ()) -> List[str]:
    """Glob patterns of the places to look at for a version or an absolute path, best first.

    What the operator names (``extra``) comes first, then what the system offers under the wanted
    name, then version managers, and last the unversioned names.
    """
    if os.path.isabs(wanted):
        return [wanted]
    parts = wanted.split(".")
    minor = ".".join(parts[:2])
    exact = wanted if len(parts) == 3 else minor + ("*" if len(parts) == 1 else ".*")
    name = "python" + minor + ("*" if len(parts) == 1 else "")
    places: List[str] = []
    for path in extra:
        places += [path, os.path.join(path, name), os.path.join(path, "bin", name)]
    places += [os.path.join(d, name) for d in told.commands]
    places += ["/opt/python*/bin/" + name, "/opt/*/bin/" + name]
    roots = list(told.managers) + [os.path.join(home, ".pyenv") for home in told.homes]
    roots += ["/opt/pyenv", "/usr/local/pyenv"]
    places += [os.path.join(root, "versions", exact, "bin", name) for root in roots]
    places += [os.path.join(root, "versions", minor, "bin", name) for root in roots]
    # asdf and mise, which have shims as well.
    places += [os.path.join(d, "installs/python", exact, "bin", name) for d in told.managers]
    managed = list(told.uv) + [os.path.join(home, ".local/share/uv/python") for home in told.homes]
    managed += ["/opt/uv/python", "/usr/local/share/uv/python"]
    places += [os.path.join(d, "cpython-" + exact + "-*", "bin", name) for d in managed]
    places += [os.path.join(d, n) for d in told.commands for n in ("python3", "python")]
    return list(_once(places))


def _once(texts: Sequence[str]) -> Tuple[str, ...]:
    return tuple(dict.fromkeys(texts))
