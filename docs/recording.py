# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Record what a command says as a picture that plays: `make recording`.

An SVG, since it is shown wherever an image is, without a player. Each line comes when it came,
in proportion; whoever does not play it (or has asked for no motion) sees the end.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import escape

COLUMNS, ROWS = 100, 32
# Of the picture, in pixels.
LETTER, LINE, EDGE = 7.25, 17, 14
# Seconds that the whole takes, and the longest pause that is shown.
PLAYS, PAUSE = 24.0, 1.5
_SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")


class Said(NamedTuple):
    """One line, and how many seconds after the begin it came."""

    at: float
    text: str


def record(command: Sequence[str]) -> list[Said]:
    """Run a command, show what it says, and return it. Raises if it fails."""
    began, said = time.monotonic(), [Said(0.0, "$ " + " ".join(command))]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            sys.stdout.write(line)
            # Where the checkout is, is nobody's business.
            text = line.rstrip("\n").replace(f"{Path.cwd()}/", "")
            said.append(Said(time.monotonic() - began, text))
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}: nothing recorded.")
    return said


def played(said: Iterable[Said]) -> list[Said]:
    """When each line is shown: pauses cut short, and the whole in `PLAYS` seconds at the most."""
    shown: list[Said] = []
    before = now = 0.0
    for line in said:
        now += min(line.at - before, PAUSE)
        before = line.at
        shown.append(Said(now, _SEQUENCE.sub("", line.text)[:COLUMNS]))
    faster = min(1.0, PLAYS / now) if now else 1.0
    return [Said(line.at * faster, line.text) for line in shown]


def picture(said: Sequence[Said]) -> str:
    """Return the SVG: a window of `ROWS` lines that scrolls as a terminal does."""
    lines = played(said)
    width, height = COLUMNS * LETTER + 2 * EDGE, ROWS * LINE + 2 * EDGE
    hidden = max(0, len(lines) - ROWS)
    end = lines[-1].at or 1.0
    steps = [
        f"{100 * line.at / end:.2f}%{{transform:translateY({-LINE * max(0, row - ROWS + 1)}px)}}"
        for row, line in enumerate(lines)
        if row >= ROWS
    ]
    texts = [
        f'<text y="{(row + 1) * LINE}" style="animation-delay:{line.at:.2f}s">'
        f"{escape(line.text)}</text>"
        for row, line in enumerate(lines)
        if line.text.strip()
    ]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}"'
            f' width="{width:g}" height="{height:g}" role="img">',
            f"<title>{escape(lines[0].text)}</title>",
            "<style>",
            "text{font:12px ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace;fill:#d8dee9;"
            "white-space:pre;animation:appear .01s backwards}",
            "@keyframes appear{from{opacity:0}to{opacity:1}}",
            # From one line to the next without a way between.
            f"#lines{{animation:scroll {end:.2f}s step-end backwards;"
            f"transform:translateY({-LINE * hidden}px)}}",
            "@keyframes scroll{0%{transform:translateY(0)}",
            *steps,
            "}",
            "@media (prefers-reduced-motion:reduce){text,#lines{animation:none}}",
            "</style>",
            f'<rect width="{width:g}" height="{height:g}" rx="8" fill="#22272e"/>',
            f'<svg x="{EDGE}" y="{EDGE}" width="{width - 2 * EDGE:g}" height="{ROWS * LINE + 4}">',
            '<g id="lines">',
            *texts,
            "</g></svg></svg>",
            "",
        ]
    )


def main() -> None:
    place, *command = sys.argv[1:]
    Path(place).write_text(picture(record(command)), encoding="utf-8")
    print(f"{place}: written")


if __name__ == "__main__":
    main()
