# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The boot test of a release in the sandbox of its unit, by a real systemd."""

import pytest

from tests.integration.service_support import NEW, new_python
from tests.integration.systemd_support import SETTINGS, UnitFleet

# Told by what it may do, as the trial does it.
APP = """
import os
if os.environ.get("NEEDS"):
    path = os.environ["NEEDS"]
    open(path, "a").close()
def app(environ, start_response):
    start_response("200 OK", [])
    return [b"ok"]
"""


@pytest.fixture
def fleet(host):
    fleet = UnitFleet(host)
    fleet.name = fleet.release(NEW, new_python())
    fleet.link(fleet.name)
    (fleet.home / "wsgi.py").write_text(APP)
    yield fleet
    fleet.close()


def trial(fleet, **more):
    info = fleet.info()
    return fleet.host.module(
        "release",
        {
            "state": "checked",
            "home": str(fleet.home),
            "path": str(fleet.releases / fleet.name),
            "like_pid": info["arbiter"]["pid"],
            "command": info["program"]["command"],
            "directory": info["program"]["directory"],
            "user": info["program"]["user"],
            "unit": info["program"]["name"],
            **more,
        },
    )


def serves(fleet):
    fleet.host.run(
        "sh", "-c",
        f"for n in $(seq 300); do curl -sf http://127.0.0.1:{fleet.port}/ && exit; sleep .1; done;"
        " exit 1",
    )  # fmt: skip


def left(fleet):
    """Units, processes and files of a trial that are still there."""
    units = fleet.host.systemctl("list-units", "--all", "--plain", "--no-legend", "fleetops-*")
    files = fleet.host.run("sh", "-c", "ls -d /tmp/gunicorn-boot-* || true").stdout
    return units + files


SANDBOX = (
    "PrivateTmp=yes\nProtectSystem=strict\nProtectHome=read-only\nPrivateDevices=yes\n"
    "NoNewPrivileges=yes\nRestrictAddressFamilies=AF_INET AF_UNIX\nLimitNOFILE=512:1024\n"
    "RuntimeDirectory=fleet-app\nStateDirectory=fleet-app\n"
)


def test_it_boots_where_the_unit_may(fleet):
    fleet.start(settings=SETTINGS + SANDBOX + f"ReadWritePaths={fleet.dir}\n")
    serves(fleet)
    before = fleet.pid()
    done = trial(fleet)
    assert done.get("checks", {}).get("boot"), done
    assert (fleet.pid(), left(fleet)) == (before, "")
    # What the unit made for itself is as it was.
    assert fleet.host.run("test", "-d", "/run/fleet-app", check=False).returncode == 0


def test_a_dynamic_user_keeps_what_is_his(fleet):
    more = "DynamicUser=yes\nStateDirectory=fleet-dyn\nEnvironment=NEEDS=/var/lib/fleet-dyn/x\n"
    fleet.start("exec", settings=SETTINGS + more)
    serves(fleet)
    owner = ("stat", "-c", "%U %u", "/var/lib/private/fleet-dyn/x")
    before = fleet.host.run(*owner).stdout
    done = trial(fleet)
    assert done.get("checks", {}).get("boot"), done
    assert fleet.host.run(*owner).stdout == before
    assert before.split()[1] != "0"


def test_what_the_sandbox_forbids_is_found_before_the_switch(fleet):
    """The unit was edited since it started: as it runs now, the file may be written."""
    fleet.start(settings=f"{SETTINGS}ReadWritePaths={fleet.dir}\n")
    serves(fleet)
    environment = {"NEEDS": f"{fleet.dir}/home/x"}
    done = trial(fleet, boot_environment=environment)
    assert done.get("checks", {}).get("boot"), done
    drop_in = f"/etc/systemd/system/{fleet.unit}.d/more.conf"
    fleet.write(drop_in, "[Service]\nProtectSystem=strict\nPrivateTmp=yes\nReadWritePaths=\n")
    fleet.host.systemctl("daemon-reload")
    done = trial(fleet, boot_environment=environment)
    assert "Read-only file system" in done["msg"], done
    assert left(fleet) == ""


def test_the_environment_file_of_the_next_start_counts(fleet):
    file = fleet.dir / "app.env"
    file.write_text("# nothing yet\nNEEDS=\n")
    fleet.start(settings=f"{SETTINGS}EnvironmentFile={file}\n")
    serves(fleet)
    done = trial(fleet)
    assert done.get("checks", {}).get("boot"), done
    file.write_text(f'A="two words $x"\nNEEDS={fleet.dir}/nosuch/x\n')
    done = trial(fleet)
    assert "No such file or directory" in done["msg"], done
    file.unlink()
    assert f"EnvironmentFile={file}, which is not there" in trial(fleet)["msg"]


def test_nobody_sees_the_variables_of_a_trial(fleet):
    """systemd tells everybody the Environment= of a unit, and ps its command line."""
    fleet.start(settings=f"{SETTINGS}Environment=\n")
    serves(fleet)
    (fleet.home / "wsgi.py").write_text("import time\ntime.sleep(5)\n" + APP)
    watch = (
        "for n in $(seq 40); do systemctl show 'fleetops-*'; cat /proc/*/cmdline; sleep .1; done"
        " 2>/dev/null | tr '\\0' ' ' > /tmp/seen"
    )
    fleet.host.run("sh", "-c", f"({watch}) & true", check=False)
    trial(fleet, boot_environment={"SECRET": "hunter2"})
    seen = fleet.host.run("sh", "-c", "sleep 1; cat /tmp/seen").stdout
    assert "fleetops-trial-" in seen
    assert "SECRET=hunter2" not in seen.replace('"SECRET": "hunter2"', "")
