# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the demo's gunicorn 20.0.1 comes from.

The package index never had a file of 20.0.1: it goes from 20.0.0 to 20.0.2. The repository's tags
20.0.1 and 20.0.2 differ in the changelog and in one line, ``version_info``. So the demo, which must
start on a 20.0.1, builds it here from the published source of 20.0.2 with that one line changed.

It also shows why the collection never reinstalls what a host runs today: it may not exist any more.
"""

import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path

from demo.errors import DemoError

PUBLISHED = "20.0.2"
WANTED = "20.0.1"
LINE = "version_info = (20, 0, 2)"
CHANGED = "version_info = (20, 0, 1)"
# A setup.py of 2019 needs a setuptools that still knows its commands.
BUILT_WITH = "setuptools==80.9.0\nwheel==0.45.1\n"


def change_version(text: str) -> str:
    """The package's ``__init__.py`` with its one version line changed."""
    if text.count(LINE) != 1:
        raise DemoError(
            f"The source of gunicorn {PUBLISHED} should have one line {LINE!r} to change, "
            f"but has {text.count(LINE)}. The index has served another file than expected."
        )
    return text.replace(LINE, CHANGED)


def build(wheels: Path, environment: Mapping[str, str]) -> Path:
    """Put the wheel of 20.0.1 into ``wheels``, once."""
    present = sorted(wheels.glob(f"gunicorn-{WANTED}-*.whl"))
    if present:
        return present[0]
    wheels.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="gunicorn-", dir=wheels.parent) as name:
        work = Path(name)
        constraint = work / "constraint.txt"
        constraint.write_text(BUILT_WITH)
        # The second name is the one that pip 25.3 and later read for builds.
        env = {
            **environment,
            "PIP_CONSTRAINT": str(constraint),
            "PIP_BUILD_CONSTRAINT": str(constraint),
        }
        pip(
            ["download", "--no-deps", "--no-binary", "gunicorn", "--dest", str(work)]
            + [f"gunicorn=={PUBLISHED}"],
            env,
        )
        with tarfile.open(work / f"gunicorn-{PUBLISHED}.tar.gz") as archive:
            # Python 3.11.0 to 3.11.3 know no filters yet.
            archive.extraction_filter = getattr(tarfile, "data_filter", lambda member, _: member)
            archive.extractall(work)
        source = work / f"gunicorn-{PUBLISHED}"
        init = source / "gunicorn" / "__init__.py"
        init.write_text(change_version(init.read_text()))
        pip(["wheel", "--use-pep517", "--no-deps", "--wheel-dir", str(work), str(source)], env)
        built = sorted(work.glob(f"gunicorn-{WANTED}-*.whl"))
        if not built:
            raise DemoError(f"Building gunicorn {WANTED} gave no wheel of that version.")
        return built[0].rename(wheels / built[0].name)


def pip(arguments: list[str], environment: Mapping[str, str]) -> None:
    """Run the pip beside this interpreter; it honours the machine's pip.conf."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise DemoError(
            f"`pip {' '.join(arguments)}` ended with {done.returncode}:\n{tail(done.stderr)}\n"
            "The demo needs a package index once; what it fetched stays in .demo/cache."
        )


def tail(text: str, lines: int = 12) -> str:
    return "\n".join(text.strip().splitlines()[-lines:])
