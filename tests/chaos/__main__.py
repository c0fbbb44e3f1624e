# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Break the fleet in every way we know, under traffic, and see that it keeps serving.

    python -m tests.chaos [--only REGEX] [--points 50] [--list]

A line for each case; the table is kept in .cache/chaos/ too. Exit code 1 if a case went wrong.
"""

from __future__ import annotations

import argparse
import re
import signal
import sys
import tempfile
from pathlib import Path

from tests.chaos import harness
from tests.chaos.beds import KINDS
from tests.chaos.wrong import LeftOut


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", default="", metavar="REGEX", help="cases whose name has this")
    parser.add_argument("--points", type=int, default=50, help="how many kills, evenly spread")
    parser.add_argument("--list", action="store_true", help="name the cases and run none")
    wanted = parser.parse_args()
    cases = [
        case
        for case in harness.registry(wanted.points)
        if re.search(wanted.only, str(case), re.IGNORECASE)
    ]
    if wanted.list or not cases:
        print("\n".join(map(str, cases)) or f"No case has {wanted.only!r} in its name.")
        return 0 if cases else 2
    # Whoever ends this ends the fleet as well.
    signal.signal(signal.SIGTERM, lambda *_about: sys.exit(143))
    rows: list[harness.Row] = []
    print(" | ".join(harness.COLUMNS), flush=True)
    for kind in KINDS:
        mine = [case for case in cases if case.bed == kind]
        if mine:
            play_on(kind, mine, rows)
    print(harness.summary(rows))
    return 1 if any(row.wrong for row in rows) else 0


def play_on(kind: str, cases: list[harness.Case], rows: list[harness.Row]) -> None:
    """The cases of one kind of fleet, which is made for them; what came of them goes to rows."""
    with tempfile.TemporaryDirectory(prefix="chaos-") as directory:
        try:
            bed = KINDS[kind](Path(directory).resolve())
        except LeftOut as exc:
            print(f"{len(cases)} cases of {kind} are left out: {exc}", flush=True)
            rows += [harness.left_out(case, str(exc)) for case in cases]
            return
        try:
            bed.make()
            for case in cases:
                row = harness.play(bed, case)
                rows.append(row)
                harness.write(rows)
                print(" | ".join(harness.cells(row)), flush=True)
                for text in row.wrong:
                    print("    " + text.replace("\n", "\n    "), flush=True)
        finally:
            bed.close()


if __name__ == "__main__":
    sys.exit(main())
