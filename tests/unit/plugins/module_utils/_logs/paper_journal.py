# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A journal on paper, and a journalctl that answers as the real one does (252, in a container)."""

import io
import struct

from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.journal import DROPPED
from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.journal_names import PROBE
from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.journalctl import Ended

FIRST = "f" * 32
SECOND = "e" * 32


class PaperJournal:
    """Entries of one unit. ``now`` is the time at which the next is written."""

    def __init__(self, unit="app.service", now=1_795_878_000.0):
        self.unit = unit
        self.now = now
        self.kept = []
        self.number = 0
        self.asked = []
        self.error = ""
        # It is silent about rights where an export is asked for.
        self.hint = ""
        self.status = 0
        self.late = False
        # How much later a look is taken, in seconds.
        self.later = 5.0
        # Process 1 writes first.
        self.put({"_PID": "1", "_TRANSPORT": "journal", "MESSAGE": "booting"})

    def put(self, fields):
        self.number += 1
        t = int(self.now * 1e6)
        cursor = f"s={'a' * 32};i={self.number:x};b={'b' * 32};m={t:x};t={t:x};x={self.number:x}"
        self.kept.append({"__CURSOR": cursor, "__REALTIME_TIMESTAMP": str(t), **fields})

    def write(self, text, pid=10, invocation=FIRST, stream="1", after=0.001, brk=""):
        for line in text.splitlines() if isinstance(text, str) else [text]:
            self.now += after
            fields = {
                "_SYSTEMD_UNIT": self.unit,
                "_TRANSPORT": "stdout",
                "_STREAM_ID": stream,
                "_PID": str(pid),
                "_SYSTEMD_INVOCATION_ID": invocation,
                "MESSAGE": line,
            }
            self.put({**fields, "_LINE_BREAK": brk} if brk else fields)

    def drop(self, count):
        self.put(
            {
                "_TRANSPORT": "driver",
                "MESSAGE_ID": DROPPED,
                "OBJECT_SYSTEMD_UNIT": self.unit,
                "MESSAGE": f"Suppressed {count} messages from {self.unit}",
                "N_DROPPED": str(count),
            }
        )

    def vacuum(self, keep):
        self.kept = self.kept[-keep:] if keep else []

    def start(self, words, _seconds):
        """In place of `Asked`."""
        self.asked.append(list(words))
        if words == PROBE:
            return PaperAsked(self, [], self.hint)
        found, last = self.kept, False
        groups = [{}]
        for word in words:
            name, _equals, value = word.partition("=")
            if word == "+":
                groups.append({})
            elif name == "--cursor":
                at = int(dict(p.split("=") for p in value.split(";"))["i"], 16)
                found = [e for e in found if int(e["__CURSOR"].split(";")[1][2:], 16) >= at]
            elif name == "--since":
                found = [e for e in found if int(e["__REALTIME_TIMESTAMP"]) >= int(value[1:]) * 1e6]
            elif name == "--lines":
                last = True
            elif not name.startswith("--"):
                groups[-1].setdefault(name, []).append(value)
        found = [
            e
            for e in found
            if any(all(e.get(k) in v for k, v in group.items()) for group in groups)
        ]
        return PaperAsked(self, found[-1:] if last else found)


class PaperAsked:
    def __init__(self, journal, found, hint=""):
        self.journal = journal
        self.hint = hint
        self.stream = io.BytesIO(b"".join(map(export, found)))

    def end(self, whole):
        journal = self.journal
        return Ended(journal.status if whole else 0, self.hint + journal.error, journal.late)


def export(fields):
    """An entry as ``journalctl -o export`` writes it."""
    out = b""
    for name, value in fields.items():
        data = value if isinstance(value, bytes) else value.encode()
        if all(byte >= 32 or byte == 9 for byte in data):
            out += name.encode() + b"=" + data + b"\n"
        else:
            out += name.encode() + b"\n" + struct.pack("<Q", len(data)) + data + b"\n"
    return out + b"\n"
