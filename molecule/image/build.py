# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Make the images of the test fleet, if they are not there, and say in JSON how to run them.

    python molecule/image/build.py modern|legacy supervisord|systemd haproxy|nginx

systemd is process 1 of web servers only; the balancer is a host without it.

FLEET_ENGINE   podman (default) or docker
FLEET_PYTHONS  directories (as in PATH) that each hold a whole Python installation, looked at before
               the usual places. The oldest 3.6 to 3.10 is what the fleet runs before the upgrade.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import Requirement

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / ".collections")]

from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages import find_python  # noqa: E402

from demo import gunicorn_20_0_1  # noqa: E402
from demo.errors import DemoError  # noqa: E402

APP = ROOT / "demo" / "app"
WHEELS = ROOT / ".cache" / "molecule" / "wheels"
REPOSITORY = "localhost/fleetops-gunicorn"
NEW_PYTHON = "3.11.2"  # Debian 12's own


class Python(NamedTuple):
    executable: Path
    version: str

    @property
    def tree(self) -> Path:
        return self.executable.parent.parent


def run(*argv: str | Path, cwd: Path | None = None) -> None:
    """Run a command, or end with everything that it said."""
    done = subprocess.run(
        list(map(str, argv)), cwd=cwd, text=True, capture_output=True, check=False
    )
    if done.returncode:
        said = f"{done.stdout}{done.stderr}"
        sys.exit(f"{' '.join(map(str, argv))}\nended with {done.returncode}:\n{said}")


def old_python() -> Python:
    """The oldest Python that can be found and be mounted into a container as a whole."""
    trees = [tree for tree in os.environ.get("FLEET_PYTHONS", "").split(":") if tree]
    for minor in range(6, 11):
        found = find_python.find_python(f"3.{minor}", trees, None, "").interpreter
        # A container has a /usr of its own.
        if found and Path(found.executable).parent != Path("/usr/bin"):
            return Python(Path(found.executable), found.version)
    sys.exit(
        "No Python 3.6 to 3.10 outside /usr was found for the fleet to start on. Install one "
        "(pyenv install 3.6.15, uv python install 3.8) or name its directory in FLEET_PYTHONS."
    )


def requirements(version: str) -> Iterator[str]:
    """The pins of the fleet's files that hold on this Python."""
    environment = {
        "python_version": ".".join(version.split(".")[:2]),
        "python_full_version": version,
    }
    for source in (APP / "requirements.txt", HERE / "wheels.txt"):
        for line in source.read_text().splitlines():
            text = line.partition("#")[0].strip()
            if text:
                wanted = Requirement(text)
                if wanted.marker is None or wanted.marker.evaluate(environment):
                    yield f"{wanted.name}{wanted.specifier}"


def wheelhouse(*versions: str) -> Path:
    """A directory of wheels for these Pythons: the hosts of the fleet see no package index."""
    pins = {version: list(requirements(version)) for version in versions}
    ready = WHEELS / hashlib.sha256(repr(pins).encode()).hexdigest()[:12]
    if ready.is_dir():
        return ready
    WHEELS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=WHEELS, prefix=".") as scratch:
        half = Path(scratch, "wheels")
        gunicorn_20_0_1.build(half, os.environ)
        for version, wanted in pins.items():
            # One version of a project per call of pip, so those of gunicorn come one by one.
            servers = {pin for pin in wanted if pin.startswith("gunicorn==")}
            calls = [[pin] for pin in sorted(servers - {f"gunicorn=={gunicorn_20_0_1.WANTED}"})]
            for call in [*calls, [pin for pin in wanted if pin not in servers]]:
                download(half, version, call)
        half.rename(ready)
    return ready


def download(directory: Path, version: str, pins: list[str]) -> None:
    machine = os.uname().machine
    run(
        *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", directory),
        *("--only-binary=:all:", "--python-version", version),
        *(f"--platform=manylinux2014_{machine}", f"--platform=manylinux1_{machine}"),
        *pins,
    )


def bake(engine: str, kind: str, serves: str, mounts: list[str], python: Python) -> str:
    """The image of a host in production: the operating system's with bake.sh run in it."""
    sources = [path for path in HERE.glob("**/*") if path.is_file() and "py" not in path.suffix]
    digest = hashlib.sha256(repr((kind, serves, mounts)).encode())
    for source in sorted([*sources, *APP.glob("*.*")]):
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    image = f"{REPOSITORY}:{kind}-{serves}-{digest.hexdigest()[:12]}"
    if (
        subprocess.run(
            [engine, "image", "inspect", image], capture_output=True, check=False
        ).returncode
        == 0
    ):
        return image
    system = f"{REPOSITORY}:{kind}"
    run(
        *(engine, "build", "--quiet", "--network=host"),
        *(f"--target={kind}", f"--tag={system}", "."),
        cwd=HERE,
    )
    oven = f"fleetops-bake-{os.getpid()}"
    try:
        run(
            *(engine, "run", "--name", oven, "--network=none", *mounts),
            *("-v", f"{HERE}:/fleet:ro", "-v", f"{APP}:/fleet-app:ro"),
            *(system, "sh", "/fleet/bake.sh", serves, python.executable),
        )
        process_1 = "/lib/systemd/systemd" if serves == "systemd" else "/usr/sbin/fleet-init"
        run(engine, "commit", "--change", f'CMD ["{process_1}"]', oven, image)
    finally:
        subprocess.run([engine, "rm", "-f", oven], capture_output=True, check=False)
    return image


def how_to_run(engine: str, serves: str) -> list[str]:
    """Options of `run` for what is process 1 of such a host."""
    if serves != "systemd":
        return ["--init"]
    if engine == "podman":
        return ["--systemd=always", "--cap-add=SYS_ADMIN"]
    # As podman does by itself; a writable /sys/fs/cgroup comes only with `privileged`.
    own = [f"--tmpfs={path}:exec" for path in ("/run", "/run/lock", "/tmp")]
    return ["--privileged", *own, "--stop-signal=SIGRTMIN+3"]


def main() -> None:
    kind, manager, balancer = sys.argv[1:]
    engine = os.environ.get("FLEET_ENGINE", "podman")
    if shutil.which(engine) is None:
        sys.exit(
            f"{engine} is not installed. Run tests/setup_containers.sh as root, "
            "or set FLEET_ENGINE=docker."
        )
    python = old_python()
    # Scenarios may run side by side, and want the same images.
    WHEELS.mkdir(parents=True, exist_ok=True)
    turn = (WHEELS / "lock").open("w")
    fcntl.flock(turn, fcntl.LOCK_EX)
    try:
        wheels = wheelhouse(python.version, *([] if kind == "legacy" else [NEW_PYTHON]))
    except DemoError as error:
        sys.exit(str(error))
    mounts = ["-v", f"{python.tree}:{python.tree}:ro", "-v", f"{wheels}:/srv/wheelhouse:ro"]
    run_as = {
        role: [*how_to_run(engine, serves), *mounts, bake(engine, kind, serves, mounts, python)]
        for role, serves in (("lb", balancer), ("web", manager))
    }
    print(json.dumps({"run_as": run_as, "old_python": python.version}))


if __name__ == "__main__":
    main()
