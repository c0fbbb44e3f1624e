# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A real nginx that does not take a reload: it hangs, refuses somebody's file, or its disk is full.

What `make chaos` plays with whole runs (tests/chaos/nginx_cases.py), by the module alone.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import pytest
from balancer_support import get, until
from nginx_support import Bed, apps, needs_nginx

pytestmark = needs_nginx
# Longer than a refusal takes on a busy machine.
LEASE = 20.0


@pytest.fixture
def bed(tmp_path: Path) -> Iterator[Bed]:
    """Its files are on a file system that can be full, where that may be mounted."""
    with apps("web1", "web2") as servers:
        made = Bed(tmp_path, servers)
        place = made.nginx.root / "available"
        words = ["mount", "-t", "tmpfs", "-o", "size=64k,nr_inodes=20", "tmpfs", str(place)]
        mounted = subprocess.run(words, capture_output=True, check=False).returncode == 0
        made.nginx.site("app", made.at1, made.at2)
        made.nginx.start()
        try:
            yield made
        finally:
            made.nginx.stop()
            if mounted:
                subprocess.run(["umount", "-l", str(place)], check=True)


@contextmanager
def hanging(bed: Bed) -> Iterator[None]:
    """Its master does nothing; its workers serve."""
    assert bed.nginx.process
    os.kill(bed.nginx.process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(bed.nginx.process.pid, signal.SIGCONT)


@contextmanager
def refusing(bed: Bed) -> Iterator[None]:
    """Somebody's unfinished file."""
    path = bed.nginx.root / "sites/somebody"
    path.write_text("server { listen 127.0.0.1:1; nonsense; }\n")
    yield
    path.unlink()


@contextmanager
def full(bed: Bed) -> Iterator[None]:
    if not os.path.ismount(bed.nginx.root / "available"):
        pytest.skip("nothing can be mounted here")
    made = []
    with suppress(OSError):
        for number in range(100):
            made.append(bed.nginx.root / f"available/.filler-{number}")
            made[-1].touch()
    yield
    for path in made:
        path.unlink(missing_ok=True)


Trouble = Callable[[Bed], AbstractContextManager[None]]
TROUBLES: dict[str, tuple[Trouble, str]] = {
    "hanging": (hanging, "did not take the new configuration"),
    "refusing": (refusing, "somebody"),
    "full": (full, "What was there is unchanged"),
}


@pytest.mark.parametrize("name", TROUBLES)
def test_it_is_not_drained_and_the_file_is_as_it_was(bed: Bed, name: str) -> None:
    trouble, words = TROUBLES[name]
    file = bed.nginx.root / "available/app"
    before = file.read_text()
    with trouble(bed):
        assert words in bed.refused(reload_timeout=2)
        assert file.read_text() == before
    until(lambda: bed.status() == "UP", "it is as it was")
    assert {get(bed.nginx.ports["app"]) for _turn in range(6)} == {"200 web1", "200 web2"}
    assert bed.do()["servers"][0]["status"] == "MAINT"


@pytest.mark.parametrize("name", TROUBLES)
def test_it_stays_out_until_the_lease_can_put_it_back(bed: Bed, name: str) -> None:
    trouble, words = TROUBLES[name]
    file = bed.nginx.root / "available/app"
    before = file.read_text()
    bed.do(lease=LEASE)
    with trouble(bed):
        assert words in bed.refused("ready", reload_timeout=2, up_timeout=1)
        assert " down;" in file.read_text()
        assert {get(bed.nginx.ports["app"]) for _turn in range(6)} == {"200 web2"}
    until(lambda: file.read_text() == before, "the lease puts it back", LEASE + 40)
    until(lambda: bed.status() == "UP", "and that runs")
