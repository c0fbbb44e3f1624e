# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The short way of a block finds what the long way finds, whatever has become of the block."""

import io
import random

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs import facts
from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs import (
    incidents as logs_incidents,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.facts import Window
from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.incidents import Judge
from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.records import Clock

from tests.unit.plugins.module_utils._logs.paper_log import NOON, block, fixture, line, start

LOGS = (
    "20.1.0-py3.6.blocked",
    "20.1.0-py3.11.hup",
    "21.2.0-py3.6.burst",
    "23.0.0-py3.11.burst",
    "23.0.0-py3.11.blocked",
)
HEADER = b"--- Logging error ---"
# Thrown in anywhere: what the parts of a block, its neighbours and its prefixes consist of.
PIECES = [
    b"\n",
    b"'",
    b"\0",
    HEADER,
    HEADER + b"\n",
    b"app-1 | ",
    b"Message: ",
    b"Arguments: ",
    b"\nArguments: (",
    b"reentrant call inside",
    b"    sys.stderr.write('--- Logging error ---\\n')\n",
    b"Message: 'Worker (pid:%d) was sent SIGTERM!'\n",
    b"Message: 'Worker with pid %s was terminated due to signal %s'\n",
    b"Arguments: (77, 9)\n",
    b"x" * 3000,
    b"  x\n" * 9000,
    line("Worker (pid:44) was sent SIGKILL! Perhaps out of memory?").encode(),
    line("Reason: App failed to load.", second=90).encode(),
    line("Handling signal: ttin", second=700, level="INFO").encode(),
    start(100, 5).encode(),
    start(9, 5).encode(),
    block().encode(),
    block("'Handling signal: %s'", "('ttin',)").encode(),
    block(n=0).encode(),
]


# What the real blocks are seldom: a death that a line has told of already, a quoted header, and
# somebody else between Message and Arguments.
RARE = [
    (line("Worker (pid:7) was sent SIGKILL!") + block()).encode(),
    block("'Handling signal: %s'", "('ttin',)").encode().replace(b"Call", b"('" + HEADER + b"')\n"),
    block(arguments="(8, 9)").encode().replace(b"\nArg", b"\nspliced in\nArg"),
    block("'Handling signal: %s'", "('hup',)").encode().replace(b"\nArg", b"\nspliced in\nArg"),
]


def real_parts():
    """Real blocks, with what stands before them, and the lines between them."""
    parts = []
    for name in LOGS:
        with open(fixture(name), "rb") as handle:
            data = handle.read()
        begin = 0
        while begin >= 0:
            end = data.find(b"\n" + HEADER, begin + 1)
            parts.append(data[begin : end + 1 if end >= 0 else len(data)])
            begin = end + 1 if end >= 0 else -1
    return parts


def mutated(dice, parts):
    chosen = [dice.choice(parts + RARE * 4) for _turn in range(dice.randrange(2, 12))]
    for _turn in range(dice.randrange(4)):
        at = dice.randrange(len(chosen))
        part = chosen[at]
        cut, other = sorted(dice.randrange(len(part) + 1) for _end in range(2))
        if dice.random() < 0.5:
            # Between lines, where most of it happens.
            cut = part.rfind(b"\n", 0, cut) + 1
        chosen[at] = dice.choice(
            [
                part[:cut] + dice.choice(PIECES) + part[cut:],
                part[:cut] + part[other:],
                part[:cut],
                part.replace(b"27271", b"%d" % dice.randrange(9)),
                part[:cut] + dice.choice(parts) + part[cut:],
            ]
        )
    return start(100).encode() + b"".join(chosen)


def judged(data, window, use_ctypes):
    limits = {"reentrant": 2, "worker_killed": 1, "logging_error": 3}
    judge = Judge(window, Clock(NOON), use_ctypes=use_ctypes, limits=limits)
    judge.scanner.read(io.BytesIO(data).readinto)
    state = judge.finish()
    # Copies: what vars() gives of an object need not outlive the object on 3.13.0.
    kept = {
        event: [dict(vars(one)) for one in incidents]
        for event, incidents in judge.kept.items()
        if incidents
    }
    times = {event: list(moments) for event, moments in judge.times.items()}
    return state, judge.counts, kept, times, judge.peak, judge.heard, judge.latched, judge.started


def windows():
    yield Window()
    # The real logs are of six hours after NOON.
    yield Window(NOON - 600, NOON + 86400)
    yield Window(NOON + 3, None, 100)
    yield Window(NOON + 20000, NOON + 30000, 27211)
    yield Window(None, NOON + 40, 9)


@pytest.mark.parametrize("kept", [0, 1, 3])
@pytest.mark.parametrize("use_ctypes", [True, False])
def test_the_short_way_finds_what_the_long_way_finds(monkeypatch, kept, use_ctypes):
    monkeypatch.setattr(logs_incidents, "KEPT_PER_EVENT", kept)
    # So that what has been seen is forgotten in every order.
    monkeypatch.setattr(facts, "REMEMBERED", 5)
    short = Judge._in_passing
    taken = {True: 0, False: 0}

    def counted(judge, kind, at, finish):
        passed = short(judge, kind, at, finish)
        taken[passed] += 1
        return passed

    dice = random.Random(kept)
    parts = real_parts()
    for turn in range(80):
        data = mutated(dice, parts)
        if turn % 30 == 0:
            # Over the borders of what is read at once.
            data = data * (1 + 600000 // len(data))
        for window in windows():
            monkeypatch.setattr(Judge, "_in_passing", counted)
            quick = judged(data, window, use_ctypes)
            monkeypatch.setattr(Judge, "_in_passing", lambda *_block: False)
            assert judged(data, window, use_ctypes) == quick, (turn, window)
    # Both happened, or nothing was compared.
    assert min(taken.values()) > 30, taken
