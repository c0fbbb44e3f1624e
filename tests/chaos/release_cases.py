# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The new release is bad, or cannot be had.

The application decides by gunicorn's version what goes wrong, on web1 alone. The releases were
built and tried before it was deployed there, so that only the drained host can find out.
"""

from __future__ import annotations

import functools
import hashlib
import http.server
import os
import subprocess
import textwrap
import threading
from pathlib import Path

from demo import fleet as fleets
from demo import pythons
from tests.chaos.bed import CACHE, EVERY, MIDDLE, OLD, Bed
from tests.chaos.harness import case
from tests.chaos.wrong import LeftOut

BACK = "as before, healthy and back in service"
IF_NEW = "import gunicorn as _gunicorn\n\nif _gunicorn.__version__ != '20.0.1':\n"
ONLY_WEB1 = ("-l", "web1")


def deploy(bed: Bed, code: str) -> None:
    bed.append_to_app("web1", IF_NEW + textwrap.indent(textwrap.dedent(code), "    "))


def sent_back(bed: Bed, code: str, in_service: bool = False, **inputs: object) -> None:
    """web1 is rolled back, web2 never touched, and the run says so and fails."""
    deploy(bed, code)
    run = bed.run(**inputs)
    bed.ends(run, says=BACK)
    bed.rolled_back(run)
    bed.undrained("web2")
    bed.expect(web1=OLD, web2=OLD, broken=("web1",) if in_service else ())


@case("release", "cannot boot where it serves", fast=True)
def cannot_boot(bed: Bed) -> None:
    sent_back(bed, "raise RuntimeError('not with this gunicorn')", service_start_timeout=20)


@case("release", "boots, and dies after 3 s")
def dies(bed: Bed) -> None:
    code = """
        import os, signal, threading
        threading.Timer(3, os.kill, (os.getppid(), signal.SIGKILL)).start()
    """
    sent_back(bed, code, in_service=True, gate_soak=15, service_start_timeout=20)


@case("release", "hangs on import")
def hangs(bed: Bed) -> None:
    sent_back(bed, "import time\ntime.sleep(3600)", service_start_timeout=10)


@case("release", "answers 500 to everybody")
def answers_500(bed: Bed) -> None:
    sent_back(bed, "app.before_request(lambda: ('broken', 500))", service_start_timeout=10)


@case("release", "answers 500 to users and 200 to the health check")
def answers_users_500(bed: Bed) -> None:
    code = """
        @app.before_request
        def broken():
            return ('broken', 500) if request.path == '/' else None
    """
    sent_back(bed, code, in_service=True, gate_soak=15)


@case("release", "the old version goes on answering (USR2 made a second master)")
def old_answers(bed: Bed) -> None:
    run = bed.run(service_stop_timeout=10)
    run.reaches("drained | Drain on every balancer")
    bed.drained("web1")
    # The new master takes the listening socket over, and no service manager knows of it.
    os.kill(bed.arbiter("web1"), 12)
    bed.ends(run, says=BACK)
    bed.rolled_back(run)
    bed.undrained("web2")
    bed.expect(web1=OLD, web2=OLD)


# -- what is needed for a build ------------------------------------------------------------------


def refused(bed: Bed, says: str, *arguments: str, **inputs: object) -> None:
    """A build fails: nothing of the fleet was touched, no balancer written to."""
    arbiters = [bed.arbiter(name) for name in ("web1", "web2")]
    run = bed.run("upgrade.yml", *arguments, **inputs)
    bed.ends(run, says=says)
    bed.undrained("web1", "web2")
    bed.check([bed.arbiter(name) for name in ("web1", "web2")] == arbiters, "a process was touched")
    bed.expect(web1=OLD, web2=OLD)


def nothing_built(bed: Bed) -> None:
    for name in ("web1", "web2"):
        bed.forget_releases(name)


@case("build", "cannot boot, found out beside the live release", prepare=nothing_built)
def cannot_boot_beside(bed: Bed) -> None:
    deploy(bed, "raise RuntimeError('not with this gunicorn')")
    refused(bed, "not with this gunicorn")


@case("build", "the index cannot be reached", fast=True, prepare=nothing_built)
def index_unreachable(bed: Bed) -> None:
    refused(
        bed, "index cannot be reached", *ONLY_WEB1, release_index_url="http://127.0.0.1:1/simple"
    )


class Answers500(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_error(500)

    def log_message(self, format: str, *args: object) -> None:
        pass


@case("build", "the index answers 500", prepare=nothing_built)
def index_answers_500(bed: Bed) -> None:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers500)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    bed.at_the_end(server.shutdown)
    url = f"http://127.0.0.1:{server.server_port}/simple"
    refused(bed, "500", *ONLY_WEB1, release_index_url=url)


@functools.cache
def wheels() -> Path:
    """The packages of the stage as wheels, for the Python in place."""
    python = pythons.find().start
    given = next(CACHE.glob(f"wheels-py{python.short}-*"))
    place = CACHE / f"chaos-wheels-py{python.short}"
    if not place.is_dir():
        pip = next(given.glob("pip-*.whl"))
        command = [python.executable, f"{pip}/pip", "--disable-pip-version-check", "download"]
        command += ["--find-links", str(given), "--dest", str(place), "--only-binary", ":all:"]
        text = (fleets.HERE / "app/requirements.txt").read_text().replace(f"=={OLD}", f"=={MIDDLE}")
        wanted = place.with_suffix(".txt")
        wanted.write_text(text)
        done = subprocess.run(
            [*command, "-r", str(wanted)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise LeftOut(f"its wheels cannot be had: {done.stderr[-300:]}")
    return place


def pinned(path: Path, tampered: str = "") -> str:
    name, version = path.name.split("-")[:2]
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return f"{name}=={version} --hash=sha256:{digest[::-1] if name == tampered else digest}"


@case("build", "a wheel is not the one that was reviewed", prepare=nothing_built)
def tampered(bed: Bed) -> None:
    requirements = bed.home("web1") / "reviewed.txt"
    requirements.write_text(
        "\n".join(pinned(path, "gunicorn") for path in sorted(wheels().glob("*.whl"))) + "\n"
    )
    stage = {"gunicorn": MIDDLE, "requirements": str(requirements)}
    refused(bed, "(?i)hash", *ONLY_WEB1, rollout_stages=[stage], release_require_hashes=True)


@case("build", "the disk is full while building (a file system of 16 MiB)")
def disk_full_building(bed: Bed) -> None:
    bed.mount(bed.home("web1") / "releases", "size=16m,nr_inodes=100000")
    refused(bed, "(?i)disk filled up|no space left", *ONLY_WEB1, release_min_free_mb=0)
    left = [path.name for path in (bed.home("web1") / "releases").glob(".build-*/*")]
    bed.check(not left, f"left behind: {left}")


def small_home(bed: Bed) -> None:
    """web1's home on a file system with little room for files."""
    home = bed.home("web1")
    aside = home.with_name("app.aside")
    home.rename(aside)
    home.mkdir()
    inodes = sum(len(dirs) + len(files) for _top, dirs, files in os.walk(aside)) + 300
    bed.mount(home, f"size=600m,nr_inodes={inodes}")
    subprocess.run(["cp", "-a", f"{aside}/.", str(home)], check=True)


def fill(place: Path) -> list[Path]:
    """Until neither a byte nor a name finds room any more."""
    made = []
    try:
        for number in range(100000):
            path = place / f"filler-{number}"
            path.touch()
            made.append(path)
    except OSError:
        pass
    with made[0].open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 65536)
        except OSError:
            pass
    return made


@case("switch", "the disk is full while switching", prepare=small_home, on=EVERY)
def disk_full_switching(bed: Bed) -> None:
    run = bed.run("upgrade.yml", *ONLY_WEB1)
    run.reaches("drained | Drain on every balancer")
    fillers = fill(bed.home("web1"))
    bed.ends(run, says=BACK)
    bed.rolled_back(run)
    bed.undrained("web2")
    for path in fillers:
        path.unlink()
    bed.expect(web1=OLD, web2=OLD)
    bed.converges(*ONLY_WEB1, rollout_force=True)
    bed.expect(web1=MIDDLE, web2=OLD)
