# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What gunicorn's settings became from version to version, asked of the packages themselves.

``python tests/gunicorn_settings.py DIRECTORY VERSION...`` installs each version into a directory of
its own and prints what is gone or means something else, one line each. The table of
``plugins/plugin_utils/_plan/settings.py`` was made from this; ``test_gunicorn_settings.py`` of
``tests/integration`` compares the two.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

VERSIONS = (
    *("19.9.0", "19.10.0", "20.0.0", "20.0.4", "20.1.0", "21.0.0", "21.2.0", "22.0.0", "23.0.0"),
    *("24.0.0", "24.1.0", "24.1.1", "25.0.0", "25.0.3", "25.1.0", "25.2.0", "25.3.0", "26.0.0"),
    *("26.1.0", "26.2.0", "27.0.0", "27.0.1"),
)
_DUMP = """
import json
from gunicorn import config
from gunicorn.workers import SUPPORTED_WORKERS
def plain(value):
    return repr(value) if not callable(value) else "a function"
told = {}
for each in config.KNOWN_SETTINGS:
    told[each.name] = {
        "default": plain(each.default), "options": list(each.cli or []),
        "switch": each.action in ("store_true", "store_false"),
    }
print(json.dumps({"settings": told, "workers": sorted(SUPPORTED_WORKERS)}))
"""


class Difference(NamedTuple):
    """What became of a setting in a version."""

    setting: str
    since: str
    kind: str
    """As in ``_plan.settings.Change``."""
    what: str


def install(directory: Path, version: str) -> Path:
    """Put one version into a directory of its own, unless it is there."""
    place = directory / f"gunicorn-{version}"
    if not (place / "gunicorn").is_dir():
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(place)]
        command += ["--disable-pip-version-check", f"gunicorn=={version}", "setuptools<81"]
        subprocess.run([*command, "packaging"], check=True)
    return place


def settings_of(place: Path) -> dict[str, Any]:
    """Ask a version what settings it has."""
    # Defaults are taken from these; HOME is in one of them.
    environment = {"PATH": os.defpath, "PYTHONPATH": str(place), "HOME": "/nonexistent"}
    command = [sys.executable, "-W", "ignore", "-c", _DUMP]
    found = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return dict(json.loads(found.stdout))


def differences(version: str, before: dict[str, Any], after: dict[str, Any]) -> list[Difference]:
    """Compare two versions, the newer of which is ``version``."""
    old, new = before["settings"], after["settings"]
    found = [Difference(name, version, "removed", "") for name in sorted(old.keys() - new.keys())]
    for name in sorted(old.keys() & new.keys()):
        was, is_ = old[name], new[name]
        if was["default"] != is_["default"]:
            what = f"{was['default']} -> {is_['default']}"
            found.append(Difference(name, version, "default", what))
        if was["switch"] and not is_["switch"]:
            found.append(Difference(name, version, "takes", ""))
        gone = sorted(set(was["options"]) - set(is_["options"]))
        if gone:
            found.append(Difference(name, version, "option", " ".join(gone)))
    for worker in sorted(set(before["workers"]) - set(after["workers"])):
        found.append(Difference("worker_class", version, "value", worker))
    return found


def derive(directory: Path, versions: tuple[str, ...] = VERSIONS) -> list[Difference]:
    """Compare each version with the one before it."""
    told = {version: settings_of(install(directory, version)) for version in versions}
    return [
        difference
        for old, new in pairwise(versions)
        for difference in differences(new, told[old], told[new])
    ]


if __name__ == "__main__":
    for each in derive(Path(sys.argv[1]), tuple(sys.argv[2:]) or VERSIONS):
        print(*each)
