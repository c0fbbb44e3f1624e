# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The log gate beside grep, rg and cat on the same hot log: ratios of one run, never bare seconds.

All contestants take turns, so that what else the machine does hits them alike; the figures are
medians of the ratios within a turn. LOG_BENCH_SIZE is in MB (2000), LOG_BENCH_ROUNDS is 5.
LOG_BENCH_INVENTORY names an inventory whose first host is asked over its connection (ssh) what an
invocation costs; without it the host is this one, without ssh.

Not every machine has the AVX-512 that libc searches with: where this one has it, all is measured
a second time with libc told to do without.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / ".collections"), str(ROOT)]

from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.facts import Window
from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.incidents import Judge
from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.records import Clock

from tests.integration.service_support import interpreters, module_command

SIZE = int(os.environ.get("LOG_BENCH_SIZE", "2000")) * 1000 * 1000
ROUNDS = int(os.environ.get("LOG_BENCH_ROUNDS", "5"))
PIECE = 10 * 1000 * 1000
ENV = {**os.environ, "PYTHONPATH": str(ROOT / ".collections"), "LC_ALL": "C.UTF-8"}
LOOK = str(ROOT / "tests" / "bench" / "look.py")
PLAIN = {"GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX512F,-AVX512BW,-AVX512VL"}

STAMP = "[2026-11-23 03:02:13 +0000] [4711] "
FRAME = (
    '  File "/srv/app/venv/lib/python3.11/site-packages/gunicorn/arbiter.py", line %d, in %s\n'
    "    self.log.warning(msg, *args, **kwargs)\n"
)
PHRASE = "RuntimeError: reentrant call inside <_io.BufferedWriter name='<stderr>'>\n"


def noise(dice: random.Random) -> str:
    """80 % requests, 12 % of the application, 8 % of gunicorn, now and then a traceback."""
    kind = dice.random()
    number = dice.getrandbits(20)
    if kind < 0.8:
        return (
            f"10.{number % 256}.0.9 - - [23/Nov/2026:03:02:13 +0000] "
            f'"GET /api/v1/workers/{number}/items?page={number % 9} HTTP/1.1" 200 {number % 5000} '
            '"-" "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/118.0"\n'
        )
    if kind < 0.92:
        return f"2026-11-23 03:02:13,{number % 1000:03d} INFO app.views: request {number:x} done\n"
    if kind < 0.999:
        return f"{STAMP}[INFO] Booting worker with pid: {number}\n"
    frames = "".join(FRAME % (n, "wsgi_app") for n in range(9))
    return f"Traceback (most recent call last):\n{frames}KeyError: 'user_{number}'\n"


def reentrant(number: int) -> str:
    """A block of Python 3.11; R stands for the number of the piece."""
    frames = "".join(FRAME % (n, "reap_workers") for n in range(8))
    head = "--- Logging error ---\nTraceback (most recent call last):\n"
    again = "\nDuring handling of the above exception, another exception occurred:\n\n"
    return (
        f"{head}{frames}{PHRASE}{again}{frames}{PHRASE}Call stack:\n{frames}"
        "Message: 'Worker with pid %s was terminated due to signal %s'\n"
        f"Arguments: (R{number:05d}, 9)\n"
    )


def write_log(path: Path, dense: bool) -> dict[str, int]:
    """SIZE bytes, an event each 10 MB or 30 % blocks; returns what is in it."""
    dice = random.Random(3)
    parts, size, inside, blocks = [], 0, 0, 0
    while size < PIECE:
        text = "".join(noise(dice) for _turn in range(20))
        while dense and inside < 0.3 * size:
            block = reentrant(blocks)
            blocks += 1
            inside += len(block)
            text += block
        size += len(text)
        parts.append(text)
    piece = "".join(parts).encode()
    pieces = SIZE // len(piece)
    events = [
        ("worker_killed", "[ERROR] Worker (pid:R99999) was sent SIGKILL! Perhaps out of memory?\n"),
        ("worker_timeout", "[CRITICAL] WORKER TIMEOUT (pid:R99999)\n"),
        ("worker_exited", "[ERROR] Worker (pid:R99999) exited with code 3\n"),
    ]
    truth: dict[str, int] = {}
    with path.open("wb") as out:
        for number in range(1, pieces + 1):
            name, text = events[number % len(events)]
            out.write(piece.replace(b"(R", b"(%d" % number))
            out.write((STAMP + text).replace(":R", f":{number}").encode())
            truth[name] = truth.get(name, 0) + 1
    if dense:
        truth["reentrant"] = blocks * pieces
        truth["worker_killed"] = truth.get("worker_killed", 0) + blocks * pieces
    return truth


class Took(NamedTuple):
    """Seconds by the clock and of the processor; a busy machine spoils the first, not the other."""

    wall: float
    cpu: float


def timed(
    command: list[str], to_null: bool = False, environment: dict[str, str] | None = None
) -> tuple[Took, bytes]:
    """How long, and the output, which somebody must read: grep stops early for /dev/null."""
    began = time.perf_counter()
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL if to_null else subprocess.PIPE,
        env={**ENV, **(environment or {})},
    )
    output = process.stdout.read() if process.stdout else b""
    _pid, status, usage = os.wait4(process.pid, 0)
    took = Took(time.perf_counter() - began, usage.ru_utime + usage.ru_stime)
    process.returncode = os.WEXITSTATUS(status)
    if status not in (0, 256):
        raise SystemExit(f"{command} failed: {output.decode()}")
    return took, output


def ratio(mine: list[Took], others: list[Took], what: str) -> float:
    """The median over the turns."""
    return median(getattr(a, what) / getattr(b, what) for a, b in zip(mine, others, strict=True))


def literals() -> list[str]:
    """All that the core looks for, as grep wants it; "Arguments: " is looked for in blocks only."""
    judge = Judge(Window(), Clock(0.0))
    wanted = [
        text
        for text, armed in zip(judge.scanner.literals, judge.scanner.armed, strict=True)
        if armed
    ]
    return [word for text in wanted for word in ("-e", text.decode())]


def pythons() -> dict[str, str]:
    found = interpreters()
    newest = max(found, key=lambda version: int(version.split(".")[1]))
    names = [name for name in dict.fromkeys(["3.6", "3.11", newest]) if name in found]
    return {name: found[name] for name in names}


def has_avx512() -> bool:
    return "avx512bw" in Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")


def scan(folder: Path, dense: bool) -> None:
    """The tables of one kind of log: as the machine is, and without AVX-512 if it has that."""
    kind = "dense (30 % of the bytes in blocks)" if dense else "sparse (an event each 10 MB)"
    log = folder / "app.log"
    truth = write_log(log, dense)
    table(log, kind, truth, {})
    if has_avx512():
        table(log, f"{kind}, without AVX-512", truth, PLAIN)


def table(log: Path, kind: str, truth: dict[str, int], environment: dict[str, str]) -> None:
    words = literals()
    contestants = {
        "grep -aboF": ["env", "LC_ALL=C", "grep", "-aboF", *words, str(log)],
        "grep -c -F": ["env", "LC_ALL=C", "grep", "-acF", *words, str(log)],
        "cat": ["cat", str(log)],
    }
    if shutil.which("rg"):
        contestants["rg -c -F"] = ["rg", "-acF", *words, str(log)]
    for name, python in pythons().items():
        contestants[f"core, Python {name}"] = [python, LOOK, str(log)]
    last = list(pythons())[-1]
    contestants[f"core, Python {last}, no ctypes"] = [pythons()[last], LOOK, str(log), "find"]
    bare = {
        name: json.loads(timed([python, LOOK])[1])["peak"] for name, python in pythons().items()
    }
    seconds: dict[str, list[Took]] = {name: [] for name in contestants}
    said: dict[str, bytes] = {}
    for turn in range(ROUNDS + 1):
        for name, command in contestants.items():
            took, said[name] = timed(command, name == "cat", environment)
            if turn:
                seconds[name].append(took)
    size = log.stat().st_size / 1e9
    print(f"\n### {size:.1f} GB, {kind}; {sum(truth.values())} incidents\n")
    print("| | CPU of grep -aboF | time of it | of grep -c -F | of cat | GB/s | MiB more |")
    print("|---|---|---|---|---|---|---|")
    for name, times in seconds.items():
        ratios = [ratio(times, seconds["grep -aboF"], "cpu")]
        for reference in ("grep -aboF", "grep -c -F", "cat"):
            ratios.append(ratio(times, seconds[reference], "wall"))
        memory = ""
        if name.startswith("core"):
            answer = json.loads(said[name])
            if answer["counts"] != truth:
                raise SystemExit(f"{name} found {answer['counts']} instead of {truth}")
            memory = f"{answer['peak'] - bare[name.split()[2].rstrip(',')]:.1f}"
        cells = [f"{value:.2f}" for value in ratios]
        speed = size / median(took.wall for took in times)
        print(f"| {name} | {' | '.join(cells)} | {speed:.2f} | {memory} |")
    sys.stdout.flush()


def incremental(folder: Path) -> None:
    """1 KB more, with a cursor: the whole module in a process, on the big log and on a new one."""
    logs = {"big": folder / "app.log", "empty": folder / "empty.log"}
    logs["empty"].write_bytes(b"")
    commands = {
        name: module_command("log_check", {"paths": [str(path)], "cursor": f"{path}.cursor"})
        for name, path in logs.items()
    }
    for command in commands.values():
        timed(command)
    pairs = []
    for _turn in range(4 * ROUNDS):
        took = {}
        for name, path in logs.items():
            with path.open("ab") as out:
                out.write(((STAMP + "[INFO] " + "x" * 60 + "\n") * 10).encode()[:1024])
            took[name], answer = timed(commands[name])
            if json.loads(answer)["scanned"]["bytes"] < 900:
                raise SystemExit("nothing new was read")
        pairs.append((took["big"], took["empty"]))
    size = logs["big"].stat().st_size / 1e9
    print(
        f"\n1 KB appended to {size:.1f} GB, of what it takes on an empty log, module start-up"
        f" included, {len(pairs)} pairs: {median(a.wall / b.wall for a, b in pairs):.3f} of the"
        f" time, {median(a.cpu / b.cpu for a, b in pairs):.3f} of the CPU"
    )


def invocation(folder: Path) -> None:
    """An `ansible` command with the module, and one with `command: true`."""
    inventory = os.environ.get("LOG_BENCH_INVENTORY")
    log = "/tmp/log-bench.log" if inventory else str(folder / "small.log")
    host = [
        str(Path(sys.executable).parent / "ansible"),
        "all[0]",
        "-i",
        inventory or "localhost,",
        *(
            []
            if inventory
            else ["-c", "local", "-e", f"ansible_python_interpreter={sys.executable}"]
        ),
    ]
    line = f"{STAMP}[INFO] Starting gunicorn 23.0.0"
    commands = {
        "raw": [*host, "-m", "ansible.builtin.raw", "-a", f"echo '{line}' > {log}"],
        "command": [*host, "-m", "ansible.builtin.command", "-a", "true"],
        "log_check": [*host, "-m", "fleetops.gunicorn.log_check", "-a", f"paths={log}"],
    }
    took: dict[str, list[Took]] = {name: [] for name in commands}
    os.chdir(ROOT)
    for turn in range(ROUNDS + 1):
        for name, command in commands.items():
            seconds, said = timed(command)
            if b"SUCCESS" not in said and b"CHANGED" not in said:
                raise SystemExit(said.decode())
            if turn:
                took[name].append(seconds)
    ours, true = took["log_check"], took["command"]
    print(
        f"\nAn `ansible` invocation over {'ssh' if inventory else 'a local connection'}:"
        f" log_check takes {ratio(ours, true, 'wall'):.2f} of what `command: true` takes"
        f" ({median(t.wall for t in ours):.2f} s and {median(t.wall for t in true):.2f} s)"
    )


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="log-bench-", dir=os.environ.get("LOG_BENCH_DIR")))
    try:
        scan(folder, dense=True)
        scan(folder, dense=False)
        incremental(folder)
        invocation(folder)
        load = os.getloadavg()
        print(f"\n{os.cpu_count()} cores, load {load[0]:.1f} at the end, {load[2]:.1f} before")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
