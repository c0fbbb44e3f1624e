# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A machine of paper: /proc in a directory, and a supervisord that does what a test says."""

import json
import os

from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.processes import Reader
from ansible_collections.fleetops.gunicorn.plugins.module_utils._service.site import Site
from ansible_collections.fleetops.gunicorn.plugins.module_utils._service.supervisord.driver import (
    SupervisordManager,
)

INFO = {"name": "app", "group": "app", "statename": "RUNNING", "pid": 9, "exitstatus": 0,
        "spawnerr": "", "stdout_logfile": "/o", "stderr_logfile": ""}  # fmt: skip
CONFIG = {"command": "c", "directory": "none", "stopsignal": 15, "stopwaitsecs": 10,
          "killasgroup": False, "startsecs": 1, "redirect_stderr": True}  # fmt: skip


def make_venv(path, gunicorn="20.0.4", python="3.6.15", key="version"):
    site = path / "lib" / ("python" + python.rpartition(".")[0]) / "site-packages"
    (site / "gunicorn").mkdir(parents=True)
    parts = gunicorn.split(".")
    (site / "gunicorn/__init__.py").write_text(f"version_info = ({', '.join(parts)})\n")
    dist(site, "gunicorn", gunicorn)
    (path / "bin").mkdir()
    (path / "bin/python").write_text("")
    (path / "pyvenv.cfg").write_text(f"home = /usr/bin\n{key} = {python}\n")
    return site


def dist(site, name, version, url=None):
    folder = site / f"{name}-{version}.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\nVersion: 0 of the text\n"
    )
    if url:
        (folder / "direct_url.json").write_text(json.dumps(url))


class Machine:
    """A /proc in a directory, and a supervisord (pid 10) that has one program."""

    def __init__(self, root):
        self.root = root
        self.home = root / "home"
        (self.home / "releases").mkdir(parents=True)
        self.listening = []
        self.program_pid = 20
        # What commands say, by their first words; of a Python it is its version.
        self.said = {}
        self.others = []
        self.process(10, 1, "python /usr/bin/supervisord -c /etc/s.conf")

    def process(self, pid, ppid, cmdline, ticks=1000, sockets=(), environ="", maps=()):
        base = self.root / "proc" / str(pid)
        (base / "fd").mkdir(parents=True)
        (base / "net").mkdir()
        fields = " ".join(["0"] * 17)
        (base / "stat").write_text(f"{pid} (x y) S {ppid} {fields} {ticks} 0 0")
        (base / "cmdline").write_bytes(b"\0".join(w.encode() for w in cmdline.split()) + b"\0")
        (base / "status").write_text("Name:\tx\nUid:\t0\t0\t0\t0\n")
        (base / "environ").write_bytes(environ.replace(" ", "\0").encode())
        (base / "maps").write_text("".join(f"1-2 r-xp 0 0:0 1      {p}\n" for p in maps))
        os.symlink("/home", str(base / "cwd"))
        os.symlink("/usr/bin/python3.6", str(base / "exe"))
        for number, inode in enumerate(sockets):
            os.symlink(f"socket:[{inode}]", str(base / "fd" / str(number)))

    def opens(self, pid, number, target):
        os.symlink(target, str(self.root / f"proc/{pid}/fd/{number}"))

    def listen(self, port, inode, host="0100007F"):
        self.listening.append(
            f" 0: {host}:{port:04X} 00000000:0000 0A 0:0 00:0 0 0 0 {inode} 1 x\n"
        )

    # supervisord's answers

    def processes(self):
        state = "RUNNING" if self.program_pid else "STOPPED"
        mine = dict(INFO, pid=self.program_pid, statename=state)
        return [mine, *self.others]

    def process_info(self, _name):
        return self.processes()[0]

    def configs(self):
        return [dict(CONFIG, group="app", name="app", inuse=True)]

    def pid(self):
        return 10

    def goes_through(self):
        seen = self.observe()
        return self.site.goes_through_venv(seen)

    def observe(self, boot_epoch=0.0):
        head = "head\n"
        for each in (self.root / "proc").iterdir():
            (each / "net/tcp").write_text(head + "".join(self.listening))
        supervisor = type("Fake", (), {
            "processes": lambda _: self.processes(), "process": lambda _, n: self.process_info(n),
            "configs": lambda _: self.configs(), "pid": lambda _: 10})()  # fmt: skip
        self.site = Site(
            "/home", SupervisordManager(supervisor, "app"), Reader(str(self.root)),
            lambda command: self.said.get(" ".join(command), "3.6.15\n"),
            lambda: 100.0, boot_epoch, 100)  # fmt: skip
        return self.site.observe()


GUNICORN = "/home/venv/bin/python /home/venv/bin/gunicorn -w 2 app"


def serve(machine, pid=20, ppid=10, command=GUNICORN, **more):
    """An arbiter and its two workers, on 127.0.0.1:8000."""
    machine.listen(8000, 77)
    machine.process(pid, ppid, command, sockets=[77], **more)
    for worker in (pid + 1, pid + 2):
        machine.process(worker, pid, command, sockets=[77], **more)
