# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Open a log and its rotated generations safely, and read them, compressed or not, as bytes."""

import errno
import io
import os
import re
import stat
import zlib
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError

MARK = 1024
BLOCK = 64 * 1024
SUFFIXES = (".gz", ".xz", ".bz2")
NUMBERED = re.compile(r"\.(\d{1,5})$")
DATED = re.compile(r"[.-](\d{4}-?\d\d-?\d\d(?:[-_.T]?\d{2,10}(?:[-_:]\d\d)*)?)$")


class LogFile(NamedTuple):
    """One open generation. ``number`` is N of ``app.log.N``, 0 for the live one, None otherwise."""

    path: str
    handle: Any
    dev: int
    inode: int
    size: int
    mtime: float
    compression: str
    number: Optional[int]

    @property
    def identity(self) -> Tuple[int, int]:
        return self.dev, self.inode


class Print(NamedTuple):
    """What identifies content: its first bytes, and those before an offset."""

    head: str
    marker: str


def open_log(path: str, number: Optional[int] = 0) -> LogFile:
    """Open a regular file without ever hanging; FleetError says what is wrong with it."""
    try:
        # A FIFO without a writer would block for ever, a device might act on being opened.
        kind = os.stat(path).st_mode
        if not stat.S_ISREG(kind):
            raise FleetError(
                f"Asked to read the log {path}, but it is {what_is(kind)}. Give the path of a file."
            )
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | getattr(os, "O_CLOEXEC", 0))
    except OSError as exc:
        raise FleetError(explain(path, exc)) from exc
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        os.close(fd)
        raise FleetError(
            f"Asked to read the log {path}, but it is {what_is(status.st_mode)}."
            " Give the path of a file."
        )
    suffix = os.path.splitext(path)[1]
    return LogFile(
        path,
        io.FileIO(fd, "rb"),
        status.st_dev,
        status.st_ino,
        status.st_size,
        status.st_mtime,
        suffix if suffix in SUFFIXES else "",
        number,
    )


def what_is(mode: int) -> str:
    for test, name in (
        (stat.S_ISDIR, "a directory"),
        (stat.S_ISFIFO, "a FIFO"),
        (stat.S_ISSOCK, "a socket"),
        (stat.S_ISCHR, "a device"),
        (stat.S_ISBLK, "a device"),
    ):
        if test(mode):
            return name
    return "no regular file"


def explain(path: str, exc: OSError) -> str:
    """An operator's error for a log that cannot be opened."""
    if exc.errno in (errno.ENOENT, errno.ENOTDIR):
        advice = (
            "There is no such file. Look at stdout_logfile and stderr_logfile of the program, and"
            " at gate_log_paths."
        )
    elif exc.errno in (errno.EACCES, errno.EPERM):
        advice = "Permission denied. Run with become, or let this user read it."
    else:
        advice = f"{exc.strerror or exc}."
    return f"Asked to read the log {path}. {advice}"


def family(path: str) -> List[Tuple[str, Optional[int]]]:
    """Rotated generations of ``path``, newest first, each once (plain before compressed).

    ``app.log.1``, ``app.log.1.gz``, ``app.log-20261123``, ``app.log.2026-11-23_04`` ...
    """
    folder, name = os.path.split(path)
    numbered: Dict[int, str] = {}
    dated: Dict[str, str] = {}
    try:
        names = sorted(os.listdir(folder or "."), key=lambda n: (n.endswith(SUFFIXES), n))
    except OSError:
        return []
    for other in names:
        if not other.startswith(name) or other == name:
            continue
        stem = os.path.splitext(other)[0] if other.endswith(SUFFIXES) else other
        tail = stem[len(name) :]
        match = NUMBERED.match(tail)
        if match:
            numbered.setdefault(int(match.group(1)), other)
            continue
        match = DATED.match(tail)
        if match:
            dated.setdefault(re.sub(r"\D", "", match.group(1)), other)
    # Dates sort as text. A log has one scheme; where two meet, the numbers are what runs now.
    ordered: List[Any] = [(numbered[number], number) for number in sorted(numbered)]
    ordered += [(dated[date], None) for date in sorted(dated, reverse=True)]
    return [(os.path.join(folder, other), number) for other, number in ordered]


def standing(paths: List[str]) -> List[Dict[str, Any]]:
    """Where logs stand now: what is written from here on comes later."""
    found: List[Dict[str, Any]] = []
    for path in paths:
        try:
            status = os.stat(path)
        except OSError:
            continue
        if stat.S_ISREG(status.st_mode):
            found.append(
                {
                    "path": path,
                    "dev": status.st_dev,
                    "inode": status.st_ino,
                    "size": status.st_size,
                }
            )
    return found


class Reader:
    """The bytes of a file from ``start`` to ``stop`` (plain files only), uncompressed."""

    def __init__(self, log: LogFile, start: int = 0, stop: Optional[int] = None) -> None:
        self.log = log
        self.left = stop - start if stop is not None and not log.compression else None
        self.damaged = ""
        self._engine: Any = None
        self._input = b""
        self._finished = False
        if not log.compression:
            log.handle.seek(start)
            return
        log.handle.seek(0)
        self._engine = engine(log.compression)
        self._skip(start)

    def _skip(self, count: int) -> None:
        while count > 0:
            piece = self._inflate(min(BLOCK, count))
            if not piece:
                return
            count -= len(piece)

    def readinto(self, view: Any) -> int:
        if self._engine is not None:
            piece = self._inflate(len(view))
            view[: len(piece)] = piece
            return len(piece)
        if self.left is not None:
            view = view[: self.left]
        got = self.log.handle.readinto(view) if len(view) else 0
        if self.left is not None:
            self.left -= got or 0
        return got or 0

    def _inflate(self, limit: int) -> bytes:
        """Up to ``limit`` bytes; none at the end. Damage ends the file and is noted."""
        try:
            while not self._finished:
                if not self._input:
                    self._input = self.log.handle.read(BLOCK)
                if self._engine.eof:
                    # Several members may follow each other in one file.
                    self._input = self._engine.unused + self._input
                    if not self._input.strip(b"\0"):
                        self._finished = True
                        break
                    self._engine = engine(self.log.compression)
                elif not self._input and not self._engine.hungry_done():
                    self.damaged = "it ends in the middle"
                    self._finished = True
                    break
                piece = self._engine.feed(self._input, limit)
                self._input = b""
                if piece:
                    return bytes(piece)
        except (OSError, EOFError, ValueError, zlib.error) as exc:
            self.damaged = str(exc)
            self._finished = True
        return b""


class Gzip:
    """zlib with the bounded output that the others have."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(31)

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def unused(self) -> bytes:
        return self._zlib.unused_data

    def hungry_done(self) -> bool:
        return bool(self._zlib.unconsumed_tail)

    def feed(self, data: bytes, limit: int) -> bytes:
        return self._zlib.decompress(self._zlib.unconsumed_tail + data, limit)


class Other:
    """lzma and bz2 keep their input themselves."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine

    @property
    def eof(self) -> bool:
        return bool(self._engine.eof)

    @property
    def unused(self) -> bytes:
        return bytes(self._engine.unused_data)

    def hungry_done(self) -> bool:
        return not self._engine.needs_input

    def feed(self, data: bytes, limit: int) -> bytes:
        try:
            return bytes(self._engine.decompress(data, limit))
        except Exception as exc:
            # Each module has an error class of its own, and is imported only when needed.
            raise ValueError(str(exc)) from exc


def engine(compression: str) -> Any:
    if compression == ".gz":
        return Gzip()
    try:
        if compression == ".xz":
            import lzma

            return Other(lzma.LZMADecompressor())
        import bz2

        return Other(bz2.BZ2Decompressor())
    except ImportError as exc:
        raise FleetError(
            f"Asked to read a {compression} file, but this Python lacks the module for it ({exc})."
            " Decompress the file or give another path."
        ) from exc


def fingerprint(log: LogFile, head: int, offset: int) -> Optional[Print]:
    """Hash the first ``head`` bytes and up to 1 KiB before ``offset``; None if it is shorter."""
    # OpenSSL comes with it, which is megabytes: only those who have a cursor need it.
    import hashlib

    before = min(MARK, offset)
    if not log.compression:
        if log.size < max(head, offset):
            return None
        first = pread(log, head, 0)
        last = pread(log, before, offset - before)
    else:
        reader = Reader(log)
        first = take(reader, head)
        if offset - before >= head:
            reader._skip(offset - before - head)
            last = take(reader, before)
        else:
            last = take(Reader(log, offset - before), before)
    if len(first) < head or len(last) < before:
        return None
    return Print(hashlib.sha1(first).hexdigest(), hashlib.sha1(last).hexdigest())


def length(log: LogFile) -> int:
    """How many bytes it holds, uncompressed."""
    if not log.compression:
        return log.size
    reader, total = Reader(log), 0
    while True:
        piece = reader._inflate(BLOCK)
        if not piece:
            return total
        total += len(piece)


def pread(log: LogFile, count: int, offset: int) -> bytes:
    return os.pread(log.handle.fileno(), count, offset)


def take(reader: Reader, count: int) -> bytes:
    result = b""
    while len(result) < count:
        piece = reader._inflate(count - len(result))
        if not piece:
            break
        result += piece
    return result
