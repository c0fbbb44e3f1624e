# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every stop rule in every combination: ``python -m tests.stop_rules [VENV ...]``."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from tests.stop_rules.cells import CELLS, collection, run, wrongs


def main(venvs: list[str]) -> int:
    bad = 0
    with tempfile.TemporaryDirectory(prefix="stop-") as name:
        collections = collection(Path(name) / "c")
        for venv in venvs:
            ansible = Path(venv).resolve() / "bin"
            version = subprocess.run(
                [ansible / "ansible", "--version"], capture_output=True, text=True, check=True
            ).stdout.splitlines()[0]
            print(version, flush=True)
            for number, cell in enumerate(CELLS):
                place = Path(name) / f"{ansible.parent.name}-{number}"
                found = wrongs(cell, run(cell, place, collections, ansible))
                bad += bool(found)
                print(f"  {'WRONG' if found else 'ok':6} {cell.name}", flush=True)
                for text in found:
                    print(f"         {text}", flush=True)
    print(f"{len(CELLS)} combinations on {len(venvs)} ansible-cores, {bad} wrong")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or [str(Path(sys.executable).parents[1])]))
