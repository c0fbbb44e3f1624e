# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find literals in any amount of bytes, in order, at the speed of libc and in constant memory.

One pass of ``strstr`` per literal over a chunk that stays in the cache beats every engine of the
standard library, and grep (docs/log-gate.md has the figures): it uses the widest vectors that the
processor has. It cannot see beyond a NUL; ``memmem`` can, and is second. Both need ctypes, which
some Pythons lack; ``bytes.find`` finds the same, slower. Nothing here knows about lines of any
layout: speed never decides what is found.
"""

import re
from typing import Any, Callable, Dict, List, Optional, Pattern, Sequence, Tuple

CHUNK = 256 * 1024
# Bytes kept before what is searched, to look up who wrote a line and when.
HISTORY = 16 * 1024
# A line longer than a chunk is searched in pieces that overlap, so that no literal is cut.
OVERLAP = 4096
# More of one line than this is not looked at around an event.
MAX_LINE = 8192
NONE = 1 << 62
NEWLINE = 10

# What most lines of a web server's log look like. Without AVX-512 libc compares wherever the first
# byte of a literal stands, so a search begins at the byte of it that stands here least.
SAMPLE = (
    b'10.0.0.9 - - [23/Nov/2026:03:02:13 +0000] "GET /api/v1/items?page=2 HTTP/1.1" 200 512'
    b' "-" "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko)'
    b' Chrome/118.0.0.0 Safari/537.36"\n'
    b"[2026-11-23 03:02:13 +0000] [4711] [INFO] request of user 4711 done in 0.013 s\n"
)
# No rest of a literal is shorter than this.
SHORTEST = 6

# literal, start, stop, whether there is a NUL in between -> where it begins, or NONE.
# What begins so late that it reaches beyond ``stop`` may be found or not.
Search = Callable[[bytes, int, int, bool], int]


def lead(literal: bytes) -> int:
    """How many bytes of a literal to leave out at first, so that what is searched begins rarely."""
    return min(
        range(max(1, len(literal) - SHORTEST + 1)),
        key=lambda at: (SAMPLE.count(literal[at : at + 1]), at),
    )


def libc_search(buffer: bytearray) -> Optional[Search]:
    """A search through libc, or None where ctypes or the functions are missing.

    There must be a NUL at ``stop`` or later, where ``strstr`` ends.
    """
    try:
        # Any failure means "not here": some hardened systems raise MemoryError on the import.
        import ctypes

        libc = ctypes.CDLL(None)
        memmem, strstr = libc.memmem, libc.strstr
        memmem.restype = strstr.restype = ctypes.c_void_p
        memmem.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t]
        strstr.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
        address = ctypes.addressof((ctypes.c_char * len(buffer)).from_buffer(buffer))

        parts: Dict[bytes, Tuple[bytes, bytes]] = {}

        def search(literal: bytes, start: int, stop: int, nul: bool) -> int:
            if nul:
                found = memmem(address + start, stop - start, literal, len(literal))
                return NONE if found is None else found - address
            if literal not in parts:
                size = lead(literal)
                parts[literal] = literal[:size], literal[size:]
            before, rest = parts[literal]
            size = len(before)
            # A rest that begins after the end has its NUL before it.
            at = min(start + size, stop)
            while True:
                found = strstr(address + at, rest)
                if found is None:
                    return NONE
                at = found - address
                if not size or buffer.startswith(before, at - size):
                    return int(at - size)
                at += 1

        right = []
        for probe in (b"--probe-\0", b"--prob\0e-"):
            buffer[: len(probe)] = probe
            right += [search(b"probe", 0, probe.index(b"\0"), nul) for nul in (False, True)]
        return search if right == [2, 2, NONE, NONE] else None
    except Exception:
        return None


def find_search(buffer: bytearray, literals: Sequence[bytes]) -> Tuple[Search, List["Gate"]]:
    """The same with what every Python has."""
    gates: Dict[bytes, Gate] = {}
    for first in {literal[:1] for literal in literals}:
        group = [literal for literal in literals if literal[:1] == first]
        if len(group) > 1:
            # Literals that begin alike are looked for together first: mostly there is none.
            rest = b"|".join(re.escape(literal[1:]) for literal in group)
            gate = Gate(buffer, re.compile(re.escape(first) + b"(?:" + rest + b")"))
            gates.update(dict.fromkeys(group, gate))

    def search(literal: bytes, start: int, stop: int, _nul: bool) -> int:
        gate = gates.get(literal)
        if gate is not None:
            start = gate.first(start, stop)
            if start >= stop:
                return NONE
        found = buffer.find(literal, start, stop)
        return NONE if found < 0 else found

    return search, list(gates.values())


class Gate:
    """Where the first of a group of literals begins; remembered for the others of the group."""

    def __init__(self, buffer: bytearray, pattern: Pattern[bytes]) -> None:
        self.buffer = buffer
        self.pattern = pattern
        self.forget()

    def forget(self) -> None:
        """The buffer holds something else now."""
        self.known = (0, 0, -1)

    def first(self, start: int, stop: int) -> int:
        begin, end, found = self.known
        if not (begin <= start <= found and end == stop):
            match = self.pattern.search(self.buffer, start, stop)
            found = match.start() if match else stop
            self.known = (start, stop, found)
        return found


class Scanner:
    """A window that slides over a stream of bytes.

    ``buffer[low:end]`` is what can be looked at, ``base`` the place of ``buffer[0]`` in the stream.
    ``on_hit(kind, at)`` is called for every literal found, in the order of the stream, and may
    arm further literals through ``arm``.
    """

    def __init__(
        self,
        literals: Sequence[bytes],
        on_hit: Callable[[int, int], None],
        on_chunk: Optional[Callable[[int, int], None]] = None,
        use_ctypes: bool = True,
        chunk: int = CHUNK,
    ) -> None:
        self.literals = list(literals)
        self.on_hit = on_hit
        self.on_chunk = on_chunk
        self.chunk = chunk
        self.buffer = bytearray(HISTORY + 2 * chunk + OVERLAP)
        self.view = memoryview(self.buffer)
        found = libc_search(self.buffer) if use_ctypes else None
        self.gates: List[Gate] = []
        if found is None:
            found, self.gates = find_search(self.buffer, self.literals)
        self.search = found
        self.armed = [True] * len(self.literals)
        # A literal with a NUL in it is beyond strstr as well.
        self.nul = any(b"\0" in literal for literal in self.literals)
        self.reach = max(len(literal) for literal in self.literals)
        self.low = HISTORY
        self.start = HISTORY
        self.end = HISTORY
        self.base = -HISTORY
        self._next: List[int] = []
        self._stop = self._cut = 0
        self._nul = False
        self._asked = (-1, -1)

    def position(self) -> int:
        """The place in the stream up to which everything has been searched."""
        return self.base + self.start

    def read(self, readinto: Callable[[Any], Optional[int]]) -> int:
        """Search all that ``readinto`` yields; an unfinished last line waits for more."""
        total = 0
        while True:
            self._slide()
            got = readinto(self.view[self.end : self.end + self.chunk])
            if not got:
                return total
            total += got
            self.end += got
            self._search_lines()

    def rest(self) -> bytes:
        """The unfinished line at the end."""
        return bytes(self.view[self.start : self.end])

    def search_rest(self) -> None:
        """Search the unfinished line as it is."""
        self._run(self.start, self.end, self.end)
        self.start = self.end

    def line(self, at: int) -> Tuple[int, int]:
        """Begin and end of the line around ``at``, within bounds."""
        begin = self.buffer.rfind(b"\n", max(self.low, at - MAX_LINE), at) + 1
        if not begin:
            begin = max(self.low, at - MAX_LINE)
        finish = self.buffer.find(b"\n", at, min(self.end, at + MAX_LINE))
        return begin, finish if finish >= 0 else min(self.end, at + MAX_LINE)

    def arm(self, kind: int, wanted: bool, at: int) -> None:
        """Begin or cease to search for a literal, from ``at`` on."""
        if self.armed[kind] != wanted:
            self.armed[kind] = wanted
            if self._next:
                self._next[kind] = self._find(kind, at) if wanted else NONE

    def following(self, kind: int) -> int:
        """Where the next of its kind begins in this chunk; NONE if there is no more."""
        return self._next[kind] if self._next else NONE

    def skip(self, kind: int, at: int) -> None:
        """Leave out those of a kind that begin before ``at``."""
        if self._next and self._next[kind] < at:
            self._next[kind] = self._find(kind, at)

    def run(self, kind: int) -> List[bytes]:
        """What follows each of a kind that come before any other is found; they are left out."""
        following = self._next
        at = following[kind]
        end = min([self._cut] + [place for other, place in enumerate(following) if other != kind])
        if at >= end or (end == self._cut and self.buffer[end - 1] != NEWLINE):
            return []
        following[kind] = self._find(kind, end)
        return bytes(self.view[at:end]).split(self.literals[kind])[1:]

    def skip_between(self, begin: int, end: int, kinds: int, wholly: Tuple[int, ...] = ()) -> None:
        """Leave out what begins between two places, of the first ``kinds`` literals.

        Those of the kinds in ``wholly`` are left out wherever they begin, if before ``end``.
        """
        following = self._next
        for kind in [kind for kind, at in enumerate(following) if at < end]:
            if kind in wholly or (begin < following[kind] and kind < kinds):
                following[kind] = self.search(self.literals[kind], end, self._stop, self._nul)

    def ahead(self, text: bytes, at: int) -> int:
        """Where the next of a text begins that is not armed, always the same text; or NONE."""
        asked, found = self._asked
        if not asked <= at <= found:
            found = self.search(text, at, self._stop, self._nul)
            self._asked = (at, found)
        return found

    def _slide(self) -> None:
        """Make room for a chunk, keeping some history."""
        shift = self.start - HISTORY
        if shift > 0:
            keep = max(self.low, shift)
            size = self.end - keep
            self.view[keep - shift : keep - shift + size] = self.view[keep : self.end]
            self.low = keep - shift
            self.start -= shift
            self.end -= shift
            self.base += shift

    def _search_lines(self) -> None:
        cut = self.buffer.rfind(b"\n", self.start, self.end) + 1
        if not cut:
            if self.end - self.start < self.chunk:
                return
            cut = self.end - OVERLAP
        self._run(self.start, cut, min(self.end, cut + self.reach))
        self.start = cut

    def _find(self, kind: int, at: int) -> int:
        if at >= self._stop:
            return NONE
        return self.search(self.literals[kind], at, self._stop, self._nul)

    def _run(self, start: int, cut: int, stop: int) -> None:
        """Report what begins in [start, cut); matches may reach to ``stop``."""
        self._stop, self._cut = stop, cut
        self._asked = (-1, -1)
        # What comes after the end is free until the next is read.
        self.buffer[self.end] = 0
        for gate in self.gates:
            gate.forget()
        search = self.search
        literals = self.literals
        armed = self.armed
        nul = self._nul = self.nul or self.buffer.find(b"\0", start, stop) >= 0
        hits = self._next = [
            search(literal, start, stop, nul) if armed[kind] else NONE
            for kind, literal in enumerate(literals)
        ]
        while True:
            at = min(hits)
            if at >= cut:
                break
            kind = hits.index(at)
            # First the next of its kind: the handler may change what comes then.
            after = at + len(literals[kind])
            hits[kind] = search(literals[kind], after, stop, nul) if after < stop else NONE
            self.on_hit(kind, at)
        self._next = []
        if self.on_chunk is not None:
            self.on_chunk(start, cut)
