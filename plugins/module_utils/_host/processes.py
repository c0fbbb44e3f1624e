# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the kernel says about processes and sockets. Only `Reader` touches the system."""

import contextlib
import glob
import os
import re
import stat
import struct
import sys
from typing import Dict, FrozenSet, Iterable, List, NamedTuple, Optional, Set, Tuple

from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.trust import (
    doubt,
    read_file,
    trusted_uids,
    writer_in_doubt,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._redact import (
    NAME as SECRET_NAME,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._redact import redact

SHOWN_ARGUMENTS = 60
SHOWN_CHARACTERS = 300

# Interpreter options that swallow the next word.
_PYTHON_VALUE_OPTIONS = ("-X", "-W", "-Q", "--check-hash-based-pycs")
_PYTHON = re.compile(r"^(python|pypy)[0-9.]*[a-z]*$")
_GUNICORN_SCRIPT = re.compile(r"^gunicorn[0-9.-]*(_paster)?(\.py)?$")
_SECRET_OPTION = re.compile(rf"(?i)^--?(?:[\w.-]{{0,64}}{SECRET_NAME}|pass)$")
_TCP_LISTEN = "0A"
# SO_ACCEPTCON in the flags of /proc/net/unix: the socket listens.
_UNIX_LISTEN = 0x10000


class Process(NamedTuple):
    """One process; ``pid`` with ``start_ticks`` names it for the life of the machine."""

    pid: int
    ppid: int
    state: str
    start_ticks: int
    cmdline: Tuple[str, ...]


class Listener(NamedTuple):
    """A listening socket; ``address`` as gunicorn's ``bind`` writes it."""

    address: str
    inode: int


class Invocation(NamedTuple):
    """A Python command line: the interpreter and what it runs (a script or ``-m module``)."""

    python: str
    script: str
    module: str
    arguments: Tuple[str, ...]


class Reader:
    """The thin edge to the system. What it may not read is remembered, to be told."""

    def __init__(self, root: str = "") -> None:
        self._root = root
        self.denied: Set[str] = set()

    def _at(self, path: str) -> str:
        return self._root + path

    def read(self, path: str, limit: int = 1 << 20) -> Optional[bytes]:
        try:
            return read_file(self._at(path), limit)
        except PermissionError:
            self.denied.add(path)
        except OSError:
            pass
        return None

    def text(self, path: str, limit: int = 1 << 20) -> str:
        return (self.read(path, limit) or b"").decode("utf-8", "replace")

    def link(self, path: str) -> Optional[str]:
        try:
            return os.readlink(self._at(path))
        except PermissionError:
            self.denied.add(path)
        except OSError:
            pass
        return None

    def names(self, path: str) -> List[str]:
        try:
            return sorted(os.listdir(self._at(path)))
        except PermissionError:
            self.denied.add(path)
        except OSError:
            pass
        return []

    def glob(self, pattern: str) -> List[str]:
        return sorted(name[len(self._root) :] for name in glob.glob(self._at(pattern)))

    def kind(self, path: str) -> str:
        """``symlink``, ``directory``, ``file``, ``socket``, ``absent`` or ``other``."""
        try:
            mode = os.lstat(self._at(path)).st_mode
        except PermissionError:
            self.denied.add(path)
            return "absent"
        except OSError:
            return "absent"
        for name, test in (
            ("symlink", stat.S_ISLNK),
            ("directory", stat.S_ISDIR),
            ("file", stat.S_ISREG),
            ("socket", stat.S_ISSOCK),
        ):
            if test(mode):
                return name
        return "other"

    def changed(self, path: str) -> Optional[float]:
        """When the file or link itself (not its target) was last put in place."""
        try:
            return os.lstat(self._at(path)).st_ctime
        except OSError:
            return None

    def owner(self, path: str) -> Optional[int]:
        """Whose it is; None if it is not there."""
        try:
            return os.stat(self._at(path)).st_uid
        except OSError:
            return None

    def trusted(self, path: str) -> bool:
        """May this user execute it without running what another user could have put there?"""
        real = self._at(path)
        try:
            info = os.stat(real)
        except OSError:
            return False
        mine = info.st_uid in trusted_uids() and not info.st_mode & 0o002
        if info.st_gid:
            mine = mine and not info.st_mode & 0o020
        return mine and doubt(real) is None

    def why_no_log(self, path: str, opened: str, uids: FrozenSet[int], most: int) -> str:
        """Why the file at ``path``, which a process has open as ``opened``, is not read as a log.

        ``opened`` is empty for one that nobody need have open.

        Who may become us, or is in ``uids``, may write it; whoever else could, is not believed.
        """
        real = self._at(path)
        try:
            info = os.lstat(real)
        except PermissionError:
            return "this user may not read it"
        except OSError:
            return "it is not there under that name"
        if not stat.S_ISREG(info.st_mode):
            return "it is no regular file"
        with contextlib.suppress(OSError):
            # Through the descriptor, whatever its name says by now.
            same = os.stat(self._at(opened)) if opened else info
            if (same.st_dev, same.st_ino) != (info.st_dev, info.st_ino):
                return "another file has its name by now"
        found = writer_in_doubt(real, info, uids)
        if found:
            return f"others may write it: {found}"
        if info.st_size > most:
            return f"it has more than {most >> 30} GiB"
        if not os.access(real, os.R_OK):
            return "this user may not read it"
        return ""

    def real(self, path: str) -> str:
        found = os.path.realpath(self._at(path))
        root = os.path.realpath(self._root) if self._root else ""
        return found[len(root) :] if root and found.startswith(root + "/") else found


def parse_stat(text: str) -> Optional[Tuple[int, str, int]]:
    """``/proc/<pid>/stat`` -> (ppid, state, start ticks). The name may hold spaces and brackets."""
    fields = text[text.rfind(")") + 1 :].split()
    if len(fields) < 20:
        return None
    return int(fields[1]), fields[0], int(fields[19])


def parse_cmdline(raw: bytes) -> Tuple[str, ...]:
    """Split at NUL; a rewritten title (setproctitle) is padded with NULs or spaces."""
    text = raw.rstrip(b"\0 ").decode("utf-8", "replace")
    return tuple(text.split("\0")) if text else ()


def parse_environ(raw: bytes) -> Dict[str, str]:
    found: Dict[str, str] = {}
    for item in raw.decode("utf-8", "replace").split("\0"):
        name, separator, value = item.partition("=")
        if separator and name:
            found[name] = value
    return found


def _address(text: str, byteorder: str) -> str:
    """The kernel prints each 32-bit word in the machine's own byte order."""
    words = [text[i : i + 8] for i in range(0, len(text), 8)]
    packed = b"".join(
        struct.pack("<I" if byteorder == "little" else ">I", int(w, 16)) for w in words
    )
    if len(packed) == 4:
        return ".".join(str(byte) for byte in packed)
    groups = [format(group, "x") for group in struct.unpack(">8H", packed)]
    # The longest run of zeros becomes "::", as everyone writes it.
    best = max(
        (
            (end - begin, begin)
            for begin in range(8)
            for end in range(begin + 1, 9)
            if set(groups[begin:end]) == {"0"}
        ),
        default=(0, 0),
        key=lambda run: (run[0], -run[1]),
    )
    if best[0] < 2:
        return "[{}]".format(":".join(groups))
    length, begin = best
    return "[{}::{}]".format(":".join(groups[:begin]), ":".join(groups[begin + length :]))


def parse_net_tcp(text: str, byteorder: str = sys.byteorder) -> List[Listener]:
    """``/proc/<pid>/net/tcp`` or ``tcp6`` -> the listening sockets."""
    found = []
    for line in text.splitlines()[1:]:
        fields = line.split()
        if len(fields) < 10 or fields[3] != _TCP_LISTEN:
            continue
        host, _sep, port = fields[1].partition(":")
        address = f"{_address(host, byteorder)}:{int(port, 16)}"
        found.append(Listener(address, int(fields[9])))
    return found


def parse_net_unix(text: str) -> List[Listener]:
    """``/proc/<pid>/net/unix`` -> the listening sockets that have a name."""
    found = []
    for line in text.splitlines()[1:]:
        fields = line.split(None, 7)
        if len(fields) < 8 or not int(fields[3], 16) & _UNIX_LISTEN:
            continue
        found.append(Listener(f"unix:{fields[7]}", int(fields[6])))
    return found


def invocation(cmdline: Iterable[str]) -> Optional[Invocation]:
    """Read a command line as Python's own; None if it is another program's."""
    words = list(cmdline)
    if not words or not _PYTHON.match(os.path.basename(words[0])):
        return None
    index = 1
    while index < len(words):
        word = words[index]
        if word in _PYTHON_VALUE_OPTIONS:
            index += 2
        elif re.match(r"^-[bBdEhiIOPqsSuvVxR]*m", word):
            glued = word[word.index("m") + 1 :]
            rest = words[index + 1 :]
            module, rest = (glued, rest) if glued else ((rest or [""])[0], rest[1:])
            return Invocation(words[0], "", module, tuple(rest))
        elif re.match(r"^-[bBdEhiIOPqsSuvVxR]*c", word):
            return Invocation(words[0], "", "", ())
        elif word.startswith("-") and len(word) > 1:
            index += 1
        else:
            return Invocation(words[0], word, "", tuple(words[index + 1 :]))
    return Invocation(words[0], "", "", ())


def gunicorn_arguments(cmdline: Iterable[str]) -> Optional[Tuple[str, ...]]:
    """The arguments if this command line *is* gunicorn (not one that will start it), else None."""
    words = tuple(cmdline)
    if words and words[0].startswith("gunicorn: "):
        return ()
    found = invocation(words)
    if found is None:
        return None
    if found.module == "gunicorn" or found.module.startswith("gunicorn."):
        return found.arguments
    if found.script and _GUNICORN_SCRIPT.match(os.path.basename(found.script)):
        return found.arguments
    return None


def is_master_title(cmdline: Iterable[str]) -> bool:
    """Did setproctitle name this an arbiter?"""
    return next(iter(cmdline), "").startswith("gunicorn: master")


def shown(cmdline: Iterable[str]) -> List[str]:
    """A command line fit for a report: bounded, without secrets."""
    result: List[str] = []
    hide = False
    for word in cmdline:
        if len(result) == SHOWN_ARGUMENTS:
            result.append("…")
            break
        clean = "***" if hide else redact(word)
        hide = bool(_SECRET_OPTION.match(word))
        result.append(clean if len(clean) <= SHOWN_CHARACTERS else clean[:SHOWN_CHARACTERS] + "…")
    return result


def descendants(table: Dict[int, Process], pid: int) -> List[int]:
    """``pid`` and everything below it, parents before children."""
    if pid not in table:
        return []
    below: Dict[int, List[int]] = {}
    for process in table.values():
        if process.pid != pid:
            below.setdefault(process.ppid, []).append(process.pid)
    order = [pid]
    for parent in order:
        order += sorted(below.pop(parent, []))
    return order


# --- reading ------------------------------------------------------------------------------------


def read_process(reader: Reader, pid: int) -> Optional[Process]:
    """The process, or None if there is none; a zombie holds nothing any more and counts as gone."""
    fields = parse_stat(reader.text(f"/proc/{pid}/stat", 4096))
    if fields is None or fields[1] in ("Z", "X", "x"):
        return None
    cmdline = parse_cmdline(reader.read(f"/proc/{pid}/cmdline", 1 << 17) or b"")
    return Process(pid, fields[0], fields[1], fields[2], cmdline)


def read_table(reader: Reader) -> Dict[int, Process]:
    found = (read_process(reader, int(name)) for name in reader.names("/proc") if name.isdigit())
    return {process.pid: process for process in found if process}


def alive(reader: Reader, process: Process) -> bool:
    """Is it still this one, and not a later one with the same number?"""
    fields = parse_stat(reader.text(f"/proc/{process.pid}/stat", 4096))
    return bool(fields and fields[2] == process.start_ticks and fields[1] not in ("Z", "X", "x"))


def read_environ(reader: Reader, pid: int) -> Dict[str, str]:
    return parse_environ(reader.read(f"/proc/{pid}/environ", 1 << 18) or b"")


def started_in(reader: Reader, pid: int, ppid: int, environ: Dict[str, str]) -> List[str]:
    """Where a process may have been started; by now it may have gone elsewhere, as gunicorn's chdir
    does. A shell notes it, a service manager is mostly there itself."""
    places = [environ.get("PWD", ""), reader.link(f"/proc/{ppid}/cwd") or ""]
    places.append(reader.link(f"/proc/{pid}/cwd") or "/")
    return [place for place in dict.fromkeys(places) if place.startswith("/")]


def read_uid(reader: Reader, pid: int) -> Optional[int]:
    match = re.search(r"^Uid:\s+\d+\s+(\d+)", reader.text(f"/proc/{pid}/status"), re.M)
    return int(match.group(1)) if match else None


def read_inodes(reader: Reader, pid: int) -> Set[int]:
    """The sockets that the process holds."""
    found = set()
    for name in reader.names(f"/proc/{pid}/fd"):
        match = re.match(r"^socket:\[(\d+)\]$", reader.link(f"/proc/{pid}/fd/{name}") or "")
        if match:
            found.add(int(match.group(1)))
    return found


def read_listeners(reader: Reader, pid: int) -> List[Listener]:
    """Every listening socket of the network namespace that ``pid`` lives in."""
    base = f"/proc/{pid}/net/"
    limit = 1 << 24
    found = parse_net_tcp(reader.text(base + "tcp", limit))
    found += parse_net_tcp(reader.text(base + "tcp6", limit))
    return found + parse_net_unix(reader.text(base + "unix", limit))


def read_mapped(reader: Reader, pid: int) -> Set[str]:
    """The files mapped into the process (its shared objects), under their real names."""
    text = reader.text(f"/proc/{pid}/maps", 1 << 22)
    return set(re.findall(r"^\S+ \S+ \S+ \S+ \S+ +(/.*?)(?: \(deleted\))?$", text, re.M))


def same_place(
    reader: Reader, pid: int, other: int, kinds: Tuple[str, ...] = ("pid", "mnt")
) -> bool:
    """Do both live in the same container? A container's processes are visible from outside."""
    for kind in kinds:
        mine = reader.link(f"/proc/{pid}/ns/{kind}")
        yours = reader.link(f"/proc/{other}/ns/{kind}")
        if mine and yours and mine != yours:
            return False
    return True
