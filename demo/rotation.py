# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How long each server was out of rotation, seen by an observer that only the balancer talks to.

It takes no word of the rollout's: it looks at the balancer every 50 ms (HAProxy's admin socket, or
demo/nginx.py), and asks each server directly what it runs on every 100 ms.
"""

import csv
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

LOOK_EVERY = 0.05
ASK_EVERY = 0.1
# srv_op_state of `show servers state`: 0 stopped, 1 starting, 2 running, 3 stopping
SERVING = {"1", "2"}


class Seen(NamedTuple):
    """One server in one look at the balancer."""

    up: bool
    admin: int
    sessions: int

    @property
    def in_rotation(self) -> bool:
        return self.up and not self.admin

    @property
    def words(self) -> str:
        taken_out = f"taken out (flags {self.admin:#x})" if self.admin else ""
        return taken_out or ("UP" if self.up else "DOWN")


class Balancer(Protocol):
    """Whoever tells who is in rotation."""

    def look(self) -> dict[str, Seen]: ...


class Outage(NamedTuple):
    """One time out of rotation, in seconds of each of its parts."""

    began: float
    draining: float
    switching: float
    checked: float
    over: bool

    @property
    def total(self) -> float:
        return self.draining + self.switching + self.checked


class Admin(NamedTuple):
    """The admin socket of the demo's HAProxy; reads only."""

    path: str
    backend: str = "app"

    def ask(self, command: str, timeout: float = 2.0) -> str:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(timeout)
            connection.connect(self.path)
            connection.sendall(command.encode() + b"\n")
            return b"".join(iter(lambda: connection.recv(65536), b"")).decode()

    def look(self) -> dict[str, Seen]:
        """Each server of the backend now. OSError when HAProxy does not answer."""
        return parse(self.ask(f"show servers state {self.backend};show stat {self.backend} 4 -1"))


def parse(answer: str) -> dict[str, Seen]:
    """Reads the answers of ``show servers state`` and ``show stat``, given together.

    The status column of ``show stat`` alone would not do: a drained server whose checks fail is
    DOWN there, and one that is ready but not checked yet is DOWN as well.
    """
    states: dict[str, tuple[bool, int]] = {}
    sessions: dict[str, int] = {}
    names: list[str] = []
    for line in answer.splitlines():
        if line.startswith(("# be_id", "# pxname")):
            names = line[2:].replace(",", " ").split()
        elif names[:1] == ["be_id"] and len(line.split()) > 6:
            row = dict(zip(names, line.split(), strict=False))
            flags = int(row["srv_admin_state"])
            states[row["srv_name"]] = (row["srv_op_state"] in SERVING, flags)
        elif names[:1] == ["pxname"] and "," in line:
            fields = dict(zip(names, next(csv.reader([line])), strict=False))
            sessions[fields["svname"]] = int(fields["scur"] or 0)
    return {
        name: Seen(up, admin, sessions[name])
        for name, (up, admin) in states.items()
        if name in sessions
    }


def outages(samples: Sequence[tuple[float, Seen]]) -> list[Outage]:
    """Splits each time out of rotation into its parts.

    draining: taken out, requests still in flight; switching: taken out, nothing in flight;
    checked: given back, until HAProxy's checks call it up. An interval counts as what it began as.
    """
    found: list[Outage] = []
    began = -1.0
    parts = {"draining": 0.0, "switching": 0.0, "checked": 0.0}
    for (at, seen), after in zip(samples, samples[1:], strict=False):
        if seen.in_rotation:
            if began >= 0:
                found.append(Outage(began, **parts, over=True))
            began, parts = -1.0, dict.fromkeys(parts, 0.0)
            continue
        began = at if began < 0 else began
        part = "checked" if not seen.admin else "draining" if seen.sessions else "switching"
        parts[part] += after[0] - at
    if began >= 0:
        found.append(Outage(began, **parts, over=samples[-1][1].in_rotation))
    return found


class Change(NamedTuple):
    """From this moment on a server answered as this generation."""

    time: float
    gunicorn: str
    python: str
    arbiter_pid: int


def changes(answers: Iterable[tuple[float, Mapping[str, Any] | None]]) -> list[Change]:
    """The generations that answered, in order."""
    found: list[Change] = []
    for at, answer in answers:
        if answer is None:
            continue
        now = Change(at, answer["gunicorn"], answer["python"], answer["arbiter_pid"])
        if not found or found[-1][1:] != now[1:]:
            found.append(now)
    return found


def gone(answers: Sequence[tuple[float, bool]]) -> float:
    """From the last good answer before the first bad one to the first good one after the last."""
    bad = [index for index, answer in enumerate(answers) if not answer[1]]
    if not bad:
        return 0.0
    first, last = max(bad[0] - 1, 0), min(bad[-1] + 1, len(answers) - 1)
    return answers[last][0] - answers[first][0]


class Observer:
    """One thread looks at the balancer, one asks each server. They only read."""

    def __init__(
        self,
        balancer: Balancer,
        servers: Sequence[str],
        ask: Callable[[str], dict[str, Any] | None],
    ) -> None:
        self._balancer = balancer
        self._servers = servers
        self._ask = ask
        self._stop = threading.Event()
        self._samples: dict[str, list[tuple[float, Seen]]] = {name: [] for name in servers}
        self._answers: dict[str, list[tuple[float, dict[str, Any] | None]]] = {
            name: [] for name in servers
        }
        self._threads = [
            threading.Thread(target=self._watch_balancer, daemon=True),
            *(threading.Thread(target=self._watch, args=(name,), daemon=True) for name in servers),
        ]
        self.missed = 0

    def __enter__(self) -> "Observer":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(10)

    def _watch_balancer(self) -> None:
        while not self._stop.wait(LOOK_EVERY):
            try:
                seen = self._balancer.look()
            except (OSError, ValueError, KeyError):
                self.missed += 1
                continue
            now = time.time()
            for name in self._servers:
                if name in seen:
                    self._samples[name].append((now, seen[name]))

    def _watch(self, name: str) -> None:
        while not self._stop.wait(ASK_EVERY):
            self._answers[name].append((time.time(), self._ask(name)))

    def outages(self, name: str) -> list[Outage]:
        return outages(self._samples[name])

    def silence(self, name: str, outage: Outage) -> float:
        """For how much of an outage the server itself gave no answer."""
        until = outage.began + outage.total + 1.0
        answers = [(at, a is not None) for at, a in self._answers[name]]
        return gone([answer for answer in answers if outage.began - 1.0 <= answer[0] <= until])

    def changes(self, name: str) -> list[Change]:
        return changes(self._answers[name])
