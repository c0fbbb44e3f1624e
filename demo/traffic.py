# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Steady traffic from a client that never retries: what a rollout loses, it counts.

One file, standard library only, so that it can be copied anywhere:

    python3 traffic.py http://127.0.0.10:8080 --seconds 60 --rate 40 --out /tmp/t

Writes ``OUT.jsonl``, one line for each request, and ``OUT.json``, a summary replaced every second.
Ends at SIGTERM or SIGINT (requests in flight are finished and counted) and after ``--seconds``.
Exit code: 0 nothing was lost, 1 something was lost or nothing was sent, 2 bad usage.

Ways of asking, by lot: on a new connection each time (``new``), on connections kept open
(``keepalive``), and one request in ten a slow one (``slow``), on either sort of connection.
A kept connection that the server has closed while it was idle is seen *before* anything is sent, as
every good client does, and replaced. Whatever goes wrong after that is a lost request.

The rate is steady and never a pile-up: a slot that finds all threads busy is skipped and counted.
"""

import argparse
import collections
import contextlib
import http.client
import json
import os
import random
import select
import signal
import sys
import threading
import time
import urllib.parse
from collections.abc import Callable
from typing import Any, NamedTuple, TextIO

KINDS = ("new", "keepalive", "slow")
# A thread that wakes up this late finds its slot gone.
LATE = 0.5
# 40 requests a second for hours: above this only losses are written line by line.
MOST_BYTES = 100 * 1024 * 1024


class Request(NamedTuple):
    kind: str
    kept: bool
    path: str


class Outcome(NamedTuple):
    time: float
    kind: str
    status: int | None
    error: str | None
    seconds: float
    host: str | None

    @property
    def lost(self) -> bool:
        return self.status != 200 or self.error is not None

    @property
    def reason(self) -> str:
        return self.error or str(self.status)


def request(slot: int, quick: str = "/", slow: str = "/slow", share: float = 0.1) -> Request:
    """What the given slot asks for: two runs ask the same.

    Drawn by lot, not in turn: a balancer takes turns as well, and then every request on a new
    connection would meet one server, and every other one the next.
    """
    lot = random.Random(slot)
    kept = lot.random() < 0.5
    if lot.random() < share:
        return Request("slow", kept, f"{slow}?s={lot.choice((2.0, 2.5, 3.0))}")
    return Request("keepalive" if kept else "new", kept, quick)


class Pace:
    """Hands out slots at a steady rate to whoever is free; slots that nobody took are skipped."""

    def __init__(self, rate: float, start: float) -> None:
        self._step = 1.0 / rate
        self._next = start
        self._slot = 0
        self._lock = threading.Lock()
        self.skipped = 0

    def take(self, now: float) -> tuple[int, float]:
        """The next slot and when it is due."""
        with self._lock:
            behind = int((now - LATE - self._next) / self._step)
            if behind > 0:
                self.skipped += behind
                self._slot += behind
                self._next += behind * self._step
            taken = self._slot, self._next
            self._slot += 1
            self._next += self._step
            return taken


class Tally:
    """Counts outcomes; every number of the summary comes from here."""

    def __init__(self, started: float) -> None:
        self.started = started
        self.sent: collections.Counter[str] = collections.Counter()
        self.lost: collections.Counter[str] = collections.Counter()
        self.reasons: collections.Counter[str] = collections.Counter()
        self.hosts: collections.Counter[str] = collections.Counter()
        self.replaced = 0
        self.slowest = 0.0
        self.first_lost: float | None = None
        self.last_lost: float | None = None

    def add(self, outcome: Outcome) -> None:
        self.sent[outcome.kind] += 1
        self.slowest = max(self.slowest, outcome.seconds)
        if outcome.lost:
            self.lost[outcome.kind] += 1
            self.reasons[outcome.reason] += 1
            self.first_lost = self.first_lost or outcome.time
            self.last_lost = outcome.time
        else:
            self.hosts[outcome.host or "?"] += 1

    def summary(self, now: float, finished: bool, in_flight: int, skipped: int) -> dict[str, Any]:
        return {
            "schema": 1,
            "pid": os.getpid(),
            "started": round(self.started, 3),
            "updated": round(now, 3),
            "finished": finished,
            "sent": sum(self.sent.values()),
            "failed": sum(self.lost.values()),
            "in_flight": in_flight,
            "skipped": skipped,
            "replaced_idle": self.replaced,
            "kinds": {k: {"sent": self.sent[k], "failed": self.lost[k]} for k in KINDS},
            "errors": dict(self.reasons.most_common(20)),
            "served_by": dict(sorted(self.hosts.items())),
            "slowest": round(self.slowest, 3),
            "first_failed": self.first_lost,
            "last_failed": self.last_lost,
        }


def closed_by_server(connection: http.client.HTTPConnection) -> bool:
    """An idle connection with something to read was closed (or is no longer in step)."""
    if connection.sock is None:
        return True
    poll = select.poll()
    poll.register(connection.sock, select.POLLIN | select.POLLHUP | select.POLLERR)
    return bool(poll.poll(0))


class Client:
    """One thread's view of the server. Sends each request exactly once."""

    def __init__(self, netloc: str, timeout: float, clock: Callable[[], float]) -> None:
        self._netloc = netloc
        self._timeout = timeout
        self._clock = clock
        self._kept: http.client.HTTPConnection | None = None
        self.replaced = 0

    def _connection(self, kept: bool) -> http.client.HTTPConnection:
        if kept and self._kept is not None:
            if not closed_by_server(self._kept):
                return self._kept
            self._kept.close()
            self.replaced += 1
        connection = http.client.HTTPConnection(self._netloc, timeout=self._timeout)
        # http.client would silently reconnect a closed connection: that is a retry.
        connection.auto_open = 0
        self._kept = connection if kept else self._kept
        connection.connect()
        return connection

    def send(self, wanted: Request) -> Outcome:
        began, at = self._clock(), time.time()
        status, error, host = None, None, None
        connection = None
        reusable = False
        try:
            connection = self._connection(wanted.kept)
            headers = {} if wanted.kept else {"Connection": "close"}
            connection.request("GET", wanted.path, headers=headers)
            response = connection.getresponse()
            body = response.read()
            status = response.status
            reusable = wanted.kept and not response.will_close
            host = served_by(body)
        except (OSError, http.client.HTTPException) as exc:
            error = type(exc).__name__
        if not reusable:
            if connection is not None:
                connection.close()
            if wanted.kept:
                self._kept = None
        return Outcome(at, wanted.kind, status, error, self._clock() - began, host)

    def close(self) -> None:
        if self._kept is not None:
            self._kept.close()


def served_by(body: bytes) -> str | None:
    with contextlib.suppress(ValueError, AttributeError):
        host = json.loads(body).get("host")
        return host if isinstance(host, str) else None
    return None


class Traffic:
    """Threads that share one pace, one tally and one file."""

    def __init__(
        self, url: str, out: str, rate: float, seconds: float, threads: int, timeout: float,
        make: Callable[[int], Request] = request,
    ) -> None:  # fmt: skip
        self._netloc = urllib.parse.urlsplit(url).netloc
        self._out = out
        self._threads = threads
        self._timeout = timeout
        self._make = make
        self._seconds = seconds
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._in_flight = 0
        self._pace = Pace(rate, time.monotonic())
        self.tally = Tally(time.time())

    def stop(self) -> None:
        self._stop.set()

    def _work(self, lines: TextIO, deadline: float) -> None:
        client = Client(self._netloc, self._timeout, time.monotonic)
        while not self._stop.is_set():
            slot, due = self._pace.take(time.monotonic())
            if due >= deadline or self._stop.wait(max(0.0, due - time.monotonic())):
                break
            with self._lock:
                self._in_flight += 1
            outcome = client.send(self._make(slot))
            with self._lock:
                self._in_flight -= 1
                self.tally.add(outcome)
                self.tally.replaced += client.replaced
                client.replaced = 0
                if outcome.lost or lines.tell() < MOST_BYTES:
                    lines.write(json.dumps(outcome._asdict()) + "\n")
        client.close()

    def _write(self, lines: TextIO, finished: bool) -> dict[str, Any]:
        with self._lock:
            lines.flush()
            summary = self.tally.summary(time.time(), finished, self._in_flight, self._pace.skipped)
        replace(f"{self._out}.json", summary)
        return summary

    def run(self) -> dict[str, Any]:
        """Blocks until stopped or out of time; returns the final summary."""
        deadline = time.monotonic() + self._seconds
        with open(f"{self._out}.jsonl", "w", encoding="utf-8") as lines:
            threads = [
                threading.Thread(
                    target=self._work, args=(lines, deadline), name=f"client-{number}", daemon=True
                )
                for number in range(self._threads)
            ]
            self._write(lines, False)
            for thread in threads:
                thread.start()
            while any(thread.is_alive() for thread in threads):
                self._write(lines, False)
                pause(1.0, threads)
            return self._write(lines, True)


def pause(seconds: float, threads: list[threading.Thread]) -> None:
    """Until the time is over or no thread lives any more."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and any(thread.is_alive() for thread in threads):
        time.sleep(0.05)


def replace(path: str, data: dict[str, Any]) -> None:
    """A reader sees the old summary or the new one, never half of one."""
    partial = f"{path}.{os.getpid()}"
    with open(partial, "w", encoding="utf-8") as handle:
        json.dump(data, handle, indent=1)
    os.replace(partial, path)


def positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return value


def web(text: str) -> str:
    parts = urllib.parse.urlsplit(text)
    if parts.scheme != "http" or not parts.hostname or parts.path not in ("", "/"):
        raise argparse.ArgumentTypeError(f"{text} is not of the form http://host[:port]")
    return text


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("url", type=web, help="http://host:port")
    parser.add_argument("--out", required=True, help="write OUT.jsonl and OUT.json")
    parser.add_argument("--seconds", type=positive, default=3600.0, help="end after this time")
    parser.add_argument("--rate", type=positive, default=40.0, help="requests per second, in all")
    parser.add_argument("--threads", type=int, default=32, help="most requests at a time")
    parser.add_argument("--timeout", type=positive, default=30.0, help="seconds for one answer")
    parser.add_argument("--quick", default="/", help="path of the quick requests")
    parser.add_argument("--slow", default="/slow", help="path of the slow ones; gets ?s=2.5")
    parser.add_argument("--slow-share", type=float, default=0.1, help="of all requests, 0 to 1")
    wanted = parser.parse_args(arguments)
    traffic = Traffic(
        wanted.url, wanted.out, wanted.rate, wanted.seconds, wanted.threads, wanted.timeout,
        lambda slot: request(slot, wanted.quick, wanted.slow, wanted.slow_share),
    )  # fmt: skip
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: traffic.stop())
    summary = traffic.run()
    print(f"sent {summary['sent']}, failed {summary['failed']}: {wanted.out}.json")
    return 0 if summary["sent"] and not summary["failed"] else 1


if __name__ == "__main__":
    sys.exit(main())
