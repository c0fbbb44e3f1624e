# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Exactly once, over random schedules of writing, rotating, destroying and looking.

A model keeps every byte ever written and knows which of them are gone. Each look must report what
the model says is new, no more and no less, and ``gap`` exactly when the model says that the file
which the last look ended in, or one after it, is gone. Whatever is written has a number in it, as
the lines of a log have a time: two files of the same bytes under one inode cannot be told apart.

LOG_SCHEDULES sets the number of schedules per mode; `make log-schedules` runs 1000.
"""

import bz2
import gzip
import lzma
import os
import re
import shutil
import tempfile

import pytest

hypothesis = pytest.importorskip("hypothesis")
st = hypothesis.strategies

from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.catalogue import (
    custom_patterns,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.check import Request, look
from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.facts import Window

EVENT = re.compile(rb"EVENT#(\d+);")
NOW = 1795402933.0
SCHEDULES = int(os.environ.get("LOG_SCHEDULES", "15"))


class Generation:
    def __init__(self):
        self.content = b""
        self.name = None
        self.gone = False


class World:
    """A log and its rotation in one mode, with the truth about every byte."""

    def __init__(self, mode, keep):
        self.dir = tempfile.mkdtemp(prefix="log-schedule-")
        self.path = os.path.join(self.dir, "app.log")
        self.mode = mode
        self.keep = keep
        self.counter = 0
        self.generations = []
        self.writer = None
        self.unfinished = False
        self._begin()
        # The model's cursor.
        self.at = None
        self.offset = 0
        self.early = []
        self.found = []
        self.looks = 0
        self.gaps = 0

    # -- writing

    def _begin(self):
        generation = Generation()
        target = self.path
        if self.mode == "symlink":
            target = os.path.join(self.dir, f"app-{len(self.generations)}.log")
        generation.name = target
        self.generations.append(generation)
        self.writer = open(target, "ab", buffering=0)  # noqa: SIM115 (open as long as the log)
        if self.mode == "symlink":
            link = self.path + ".new"
            os.symlink(target, link)
            os.rename(link, self.path)

    @property
    def live(self):
        return self.generations[-1]

    def write(self, size, cut):
        """A line with or without an event; ``cut`` leaves its end for later."""
        self.end_line()
        self.counter += 1
        text = b"%d EVENT#%d; %s %d\n" % (self.counter, self.counter, b"x" * size, self.counter)
        if self.counter % 3 == 0:
            text = b"%d noise %s %d\n" % (self.counter, b"y" * size, self.counter)
        for part in (text[:cut], text[cut:]) if cut else (text,):
            self.append(part)
            if cut and self.mode == "split":
                self.rotate()

    def open_line(self):
        """An event in a line that ends later, maybe much later."""
        self.end_line()
        self.counter += 1
        self.append(b"%d EVENT#%d; and" % (self.counter, self.counter))
        self.unfinished = True

    def end_line(self):
        if self.unfinished:
            self.unfinished = False
            self.append(b" so on, number %d\n" % self.counter)

    def part(self, text):
        self.end_line()
        self.counter += 1
        self.append(text + b" %d " % self.counter)

    def append(self, data):
        self.writer.write(data)
        self.live.content += data

    # -- rotating

    def _shift(self, suffix=""):
        """app.log.1 becomes app.log.2 and so on; the oldest goes."""
        held = [g for g in self.generations if g.name and g.name != self.path]
        for generation in held:
            stem = generation.name[len(self.path) + 1 :]
            number = int(stem.split(".")[0])
            if number >= self.keep:
                os.unlink(generation.name)
                generation.gone, generation.name = True, None
                continue
            tail = "." + stem.split(".", 1)[1] if "." in stem else ""
            new = f"{self.path}.{number + 1}{tail}"
            os.rename(generation.name, new)
            generation.name = new

    def _pack(self, generation, suffix):
        with open(generation.name, "rb") as plain:
            data = plain.read()
        packer = {".gz": gzip.compress, ".xz": lzma.compress, ".bz2": bz2.compress}[suffix]
        with open(generation.name + suffix, "wb") as out:
            out.write(packer(data))
        os.unlink(generation.name)
        generation.name += suffix

    def rotate(self):
        mode, live = self.mode, self.live
        if mode in ("truncate", "recreate"):
            live.gone = True
            if mode == "truncate":
                os.truncate(self.path, 0)
                self.generations.append(Generation())
                self.live.name = self.path
            else:
                self.writer.close()
                os.unlink(self.path)
                live.name = None
                self._begin()
            return
        if mode == "symlink":
            self.writer.close()
            self._begin()
            return
        if mode == "dated":
            self.writer.close()
            live.name = f"{self.path}-20261123{len(self.generations):02d}"
            os.rename(self.path, live.name)
            self._begin()
            return
        self._shift()
        live.name = self.path + ".1"
        if mode.startswith("copy"):
            shutil.copy(self.path, live.name)
            os.truncate(self.path, 0)
            self.generations.append(Generation())
            self.live.name = self.path
            if mode == "copy+gz":
                self._pack(live, ".gz")
            return
        os.rename(self.path, live.name)
        if mode == "late":
            # The process goes on writing into the renamed file before it opens the new one.
            self.counter += 1
            late = b"%d EVENT#%d; late\n" % (self.counter, self.counter)
            if not self.unfinished and (live.content.endswith(b"\n") or not live.content):
                self.writer.write(late)
                live.content += late
        self.writer.close()
        self._begin()
        for suffix in (".gz", ".xz", ".bz2"):
            if mode == suffix:
                self._pack(live, suffix)
        if mode == "delay" and len(self.generations) > 2:
            second = self.generations[-3]
            if second.name and not second.name.endswith(".gz"):
                self._pack(second, ".gz")

    # -- looking

    def expected(self):
        """(events that are new, whether something is lost, whether that can be known)."""
        if self.at is None:
            self.at = len(self.generations) - 1
        lost = any(g.gone for g in self.generations[self.at :])
        # A file that was empty at the last look and is truncated before the next one leaves no
        # trace whatever: not even its inode changes.
        knowable = not (self.offset == 0 and self.generations[self.at].gone)
        early = self.early
        stream, first = b"", True
        for index in range(self.at, len(self.generations)):
            generation = self.generations[index]
            if generation.gone:
                if first:
                    # The unfinished line began in what is lost. An event that was told of it, and
                    # that stands in a file after that, is told again, with the gap.
                    self.found = [number for number in self.found if number not in early]
                    early = []
                first = False
                continue
            stream += generation.content[self.offset if index == self.at else 0 :]
            first = False
        fresh = [int(m.group(1)) for m in EVENT.finditer(stream)]
        for number in early:
            if number in fresh:
                fresh.remove(number)
        tail = stream[stream.rfind(b"\n") + 1 :]
        # The new cursor: the beginning of the unfinished line.
        left = len(tail)
        index = len(self.generations) - 1
        while left > len(self._rest(index)):
            left -= len(self._rest(index))
            index -= 1
            while self.generations[index].gone:
                index -= 1
        self.at, self.offset = index, len(self.generations[index].content) - left
        self.early = [int(m.group(1)) for m in EVENT.finditer(tail)]
        return fresh, lost, knowable

    def _rest(self, index):
        content = self.generations[index].content
        return content[self.offset :] if index == self.at else content

    def look(self):
        first = self.at is None
        fresh, lost, knowable = self.expected()
        request = Request(
            [self.path],
            Window(),
            os.path.join(self.dir, "cursor"),
            {"event": "unlimited"},
            tuple(custom_patterns([{"name": "event", "regex": "EVENT#[0-9]+;"}])),
            100,
            "",
            True,
        )
        result = look(request, NOW)
        self.looks += 1
        self.gaps += result["verdict"] == "gap"
        found = sorted(
            int(EVENT.search(item["excerpt"].encode()).group(1)) for item in result["incidents"]
        )
        assert result["counts"].get("event", 0) == len(fresh), (result, fresh)
        if len(fresh) <= 20:
            assert found == sorted(fresh), (found, fresh)
        if knowable:
            assert (result["verdict"] == "gap") == (lost and not first), (result, lost)
        self.found += found
        assert len(self.found) == len(set(self.found))

    def close(self):
        self.writer.close()
        shutil.rmtree(self.dir)


MODES = {
    "rename": st.sampled_from([1, 2, 10]),
    "late": st.just(10),
    "split": st.sampled_from([2, 10]),
    ".gz": st.sampled_from([2, 10]),
    ".xz": st.just(10),
    ".bz2": st.just(10),
    "delay": st.sampled_from([2, 10]),
    "dated": st.just(10),
    "copy": st.sampled_from([1, 2, 10]),
    "copy+gz": st.just(10),
    "truncate": st.just(1),
    "recreate": st.just(1),
    "symlink": st.just(1),
}

STEP = st.one_of(
    st.tuples(st.just("write"), st.sampled_from([0, 1, 40, 1500]), st.sampled_from([0, 0, 5, 12])),
    st.tuples(st.just("part"), st.sampled_from([b"torn", b"EVENT", b"x" * 600])),
    st.tuples(st.just("open")),
    st.tuples(st.just("rotate")),
    st.tuples(st.just("look")),
)


@pytest.mark.parametrize("mode", sorted(MODES))
def test_every_line_is_judged_once(mode):
    done = {"schedules": 0, "looks": 0, "events": 0, "gaps": 0}

    @hypothesis.settings(
        max_examples=SCHEDULES,
        deadline=None,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(keep=MODES[mode], steps=st.lists(STEP, min_size=3, max_size=25))
    def run(keep, steps):
        world = World(mode, keep)
        moved = False
        try:
            for step in [("write", 1, 0), *steps, ("look",)]:
                if step[0] == "write":
                    world.write(step[1], step[2])
                elif step[0] == "part":
                    world.part(step[1])
                elif step[0] == "open":
                    world.open_line()
                elif step[0] == "rotate":
                    # A link that moved twice leaves a file that nothing points to.
                    if mode == "symlink" and moved:
                        continue
                    moved = True
                    world.rotate()
                else:
                    moved = False
                    world.look()
        finally:
            world.close()
        done["schedules"] += 1
        done["looks"] += world.looks
        done["events"] += len(world.found)
        done["gaps"] += world.gaps

    run()
    print("\n" + mode, ", ".join(f"{count} {name}" for name, count in done.items()))
