"""Every published gunicorn has a verdict; when a new one has none, this says which.

Asks the index, so it runs nightly and not in CI, which must not fail since somebody has published.
What to do then: read what changed between the two packages, add rows to _known_problems/table.py
for what an upgrade would meet, and the version with its verdict to _known_problems/reviewed.py.
"""

from __future__ import annotations

import email
import re
import subprocess
import sys
import zipfile

from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._known_problems.reviewed import (
    VERDICTS,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._known_problems.versions import (
    python_floor,
    version_key,
)

PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check"]


def test_no_published_version_is_without_a_verdict():
    done = subprocess.run(
        [*PIP, "index", "versions", "gunicorn"], capture_output=True, text=True, check=True
    )
    published = re.search(r"Available versions: (.*)", done.stdout).group(1).split(", ")
    known = {version for version in published if version_key(version) >= version_key("20")}
    assert known - VERDICTS.keys() == set(), "read what changed, and give it a verdict"
    assert VERDICTS.keys() - known == set(), "there is no such version"


def test_the_newest_runs_on_the_pythons_that_we_say(tmp_path):
    """The table of floors ends with the last row: a new floor must not be missed."""
    newest = list(VERDICTS)[-1]
    command = ["download", "--quiet", "--no-deps", "--ignore-requires-python", "--dest"]
    subprocess.run([*PIP, *command, str(tmp_path), f"gunicorn=={newest}"], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        (name,) = (each for each in packed.namelist() if each.endswith(".dist-info/METADATA"))
        told = email.message_from_bytes(packed.read(name))
    assert told["Requires-Python"] == f">={python_floor(newest)}"
