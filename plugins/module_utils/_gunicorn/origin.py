# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a gunicorn runs from: its virtualenv, its Python, and whether that is behind the link."""

import os
import re
from typing import Callable, Dict, List, Optional

from ansible_collections.fleetops.gunicorn.plugins.module_utils._gunicorn.live_venv import Venv
from ansible_collections.fleetops.gunicorn.plugins.module_utils._gunicorn.options import split_words
from ansible_collections.fleetops.gunicorn.plugins.module_utils._gunicorn.snapshot import (
    Observation,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.processes import (
    Process,
    Reader,
    invocation,
    read_mapped,
    started_in,
)

# Between the clock of the file system (4 to 10 ms) and the one of the scheduler.
CLOCK_SLACK = 0.05
PYTHON = re.compile(r"^(python|pypy)[0-9.]*[a-z]*$")

Run = Callable[[List[str]], Optional[str]]


class Pythons:
    """Asks interpreters for their version."""

    def __init__(self, reader: Reader, run: Run) -> None:
        self.reader = reader
        self._run = run
        self._pythons: Dict[str, Optional[str]] = {}

    def version(self, executable: Optional[str]) -> Optional[str]:
        """Ask the interpreter; once each, because it costs a process in the middle of a switch.

        Root does not run what the application's user may have written; pyvenv.cfg serves then.
        """
        if not executable or not self.reader.trusted(executable):
            return None
        if not PYTHON.match(os.path.basename(executable)):
            # A link in a virtualenv may lead to any program of root's.
            return None
        if executable not in self._pythons:
            code = "import sys; print('%d.%d.%d' % sys.version_info[:3])"
            answer = (self._run([executable, "-I", "-S", "-c", code]) or "").strip()
            self._pythons[executable] = answer if re.match(r"^\d+\.\d+\.\d+$", answer) else None
        return self._pythons[executable]


def find_prefix(
    reader: Reader,
    homes: List[str],
    process: Process,
    started: float,
    venv: Venv,
    command: Optional[str],
    environ: Dict[str, str],
    directory: Optional[str] = None,
) -> Optional[str]:
    """The real path of the virtualenv that the process was started from, or None.

    A command line that goes through ``<home>/venv`` says nothing once the link has been
    flipped: then files that are mapped decide, or that the process is younger than the link.
    ``directory`` is where the service manager starts it, if it was told.
    """
    through_link = False
    for path in _started_through(reader, process, command, environ, directory):
        prefix = os.path.dirname(os.path.dirname(path))
        if venv.kind == "symlink" and prefix in [f"{home}/venv" for home in homes]:
            through_link = True
        elif reader.kind(f"{prefix}/pyvenv.cfg") != "absent":
            return reader.real(prefix)
    mapped = read_mapped(reader, process.pid)
    mapped.add(reader.link(f"/proc/{process.pid}/exe") or "")
    counts: Dict[str, int] = {}
    for home in homes:
        for path in mapped:
            match = re.match(rf"^({re.escape(home)}/(?:releases/[^/]+|venv))/", path)
            if match:
                counts[match.group(1)] = counts.get(match.group(1), 0) + 1
    if counts:
        return reader.real(max(sorted(counts), key=lambda each: counts[each]))
    if (
        through_link
        and venv.target
        and venv.changed is not None
        and started >= venv.changed - CLOCK_SLACK
    ):
        return venv.target
    return None


def _started_through(
    reader: Reader,
    process: Process,
    command: Optional[str],
    environ: Dict[str, str],
    directory: Optional[str],
) -> List[str]:
    """Absolute paths of the interpreter and script on the command line, most telling first."""
    found = invocation(process.cmdline)
    if found:
        words = [found.python, found.script]
    else:
        words = [word for word in split_words(command) if "/bin/" in word]
    places = started_in(reader, process.pid, process.ppid, environ)
    places = [directory, *places] if directory and directory.startswith("/") else places
    paths = []
    for word in words:
        if "/" in word:
            named = [os.path.normpath(os.path.join(place, word)) for place in places]
            there = [path for path in named if reader.kind(path) != "absent"]
            paths.append((there or named[-1:])[0])
        elif word:
            for entry in environ.get("PATH", "").split(":"):
                if reader.kind(f"{entry}/{word}") != "absent":
                    paths.append(f"{entry}/{word}")
                    break
    return paths


def goes_through_venv(
    reader: Reader,
    homes: List[str],
    seen: Observation,
    environment: str,
) -> bool:
    """Will a flip of ``<home>/venv`` change what the program's command runs?

    ``environment`` is what the service manager sets, and its own PATH.

    Anything that names the path counts: a wrong yes is caught when the new generation is
    proved, a wrong no would refuse a switch that works.
    """
    command = str(seen.program["command"] or "")
    texts = [command, environment]
    texts += [word for process in seen.tree for word in process.cmdline]
    texts += [seen.environ.get(name, "") for name in ("PATH", "VIRTUAL_ENV")]
    directory = str(seen.program["directory"] or "/")
    scripts = []
    for word in split_words(command)[:3]:
        path = os.path.join(directory, word)
        texts.append(os.path.normpath(path))
        script = reader.read(path, 1 << 16) if reader.kind(path) == "file" else b""
        if script and not script.startswith(b"\x7fELF"):
            scripts.append(script.decode("utf-8", "replace"))
    named = "|".join(re.escape(f"{home}/venv") for home in homes)
    # A script may have changed the directory; another virtualenv's name may end in "venv".
    relative = rf"(?<![\w.-])venv/bin|{named}"
    searches = [(named, text) for text in texts] + [(relative, text) for text in scripts]
    return any(re.search(rf"(?:{name})(?![\w.-])", text) for name, text in searches)
