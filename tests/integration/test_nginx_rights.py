# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""nginx is drained by a user who is not root, with what docs/nginx.md says that is enough."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from balancer_support import _RUNNER, REPO, Request, get
from nginx_support import Bed, apps, needs_nginx

pytestmark = [
    needs_nginx,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can be two users"),
]
NOBODY = pwd.getpwnam("nobody")
# All that it needs is read before: nobody else gets at this Python.
BECOME = f"""
import os
import encodings.idna
try:
    import ansible.module_utils.testing
except ImportError:
    pass
import ansible_collections.fleetops.gunicorn.plugins.modules.nginx_server
os.setgroups([])
os.setgid({NOBODY.pw_gid})
os.setuid({NOBODY.pw_uid})
"""


@pytest.fixture
def bed() -> Iterator[Bed]:
    # Not below pytest's own directory, which is root's alone.
    root = Path(tempfile.mkdtemp(prefix="nginx-rights-"))
    root.chmod(0o755)
    with apps("web1", "web2") as servers:
        made = Bed(root, servers)
        try:
            yield made
        finally:
            made.nginx.stop()
            shutil.rmtree(root)


def as_nobody(bed: Bed, state: str, **more: Any) -> dict[str, Any]:
    args = {"backends": ["app"], "server": bed.at1, "state": state, "drain_timeout": 3, **more}
    args = {**bed.nginx.reach(bed.leases), **args}
    done = subprocess.run(
        [sys.executable, "-c", BECOME + _RUNNER, "nginx_server"],
        input=json.dumps(args),
        capture_output=True,
        text=True,
        timeout=90,
        env={**os.environ, "PYTHONPATH": str(REPO / ".collections"), "HOME": "/nonexistent"},
        check=False,
    )
    assert done.stdout, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_directory_of_its_own_and_two_commands_are_enough(bed: Bed) -> None:
    bed.nginx.site("app", top=f"include {bed.nginx.root}/servers/*.conf;")
    folder = bed.nginx.root / "servers"
    folder.mkdir()
    for name, address in (("web1", bed.at1), ("web2", bed.at2)):
        (folder / f"{name}.conf").write_text(f"server {address};\n")
        os.chown(folder / f"{name}.conf", NOBODY.pw_uid, NOBODY.pw_gid)
    bed.nginx.start()
    assert "may not be replaced by uid" in as_nobody(bed, "drained")["msg"]
    os.chown(folder, NOBODY.pw_uid, NOBODY.pw_gid)
    bed.leases.mkdir(mode=0o700)
    os.chown(bed.leases, NOBODY.pw_uid, NOBODY.pw_gid)
    # What sudo would do: a pipe to somebody who may.
    os.mkfifo(bed.nginx.root / "reload", 0o622)
    os.chmod(bed.nginx.root / "reload", 0o622)
    helper = subprocess.Popen(
        ["sh", "-c", f"while cat {bed.nginx.root}/reload; do kill -HUP $0; done", str(pid_of(bed))],
        stdout=subprocess.DEVNULL,
    )
    rights = {
        "test_command": "/bin/true",
        "reload_command": f"/bin/sh -c 'echo go > {bed.nginx.root}/reload'",
    }
    try:
        slow = [Request(bed.nginx.ports["app"], "/slow") for _turn in range(4)]
        time.sleep(0.5)
        refused = as_nobody(bed, "drained", **rights)
        assert "connection(s) from nginx after 3 s" in refused["msg"], refused
        bed.web1.let_go.set()
        bed.web2.let_go.set()
        assert {each.result() for each in slow} <= {"200 web1", "200 web2"}
        out = as_nobody(bed, "drained", lease=60, **rights)
        assert not out.get("failed"), out
        assert {get(bed.nginx.ports["app"]) for _turn in range(6)} == {"200 web2"}
        back = as_nobody(bed, "ready", **rights)
        assert not back.get("failed"), back
        assert bed.status() == "UP"
    finally:
        helper.kill()
        helper.wait()


def pid_of(bed: Bed) -> int:
    assert bed.nginx.process
    return bed.nginx.process.pid
