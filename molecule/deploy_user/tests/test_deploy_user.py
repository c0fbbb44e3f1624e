# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Upgraded and taken back by a user who may do little, for an application that may do less."""

import json
import subprocess

import pytest

testinfra_hosts = ["ansible://web"]

# What was adopted is the application's own; no release of ours is.
OURS = "find /srv/app/releases -mindepth 1 -not -path '/srv/app/releases/adopted-*' -not -type l"


@pytest.fixture
def log_in(inventory):
    """Log in to a host as a user, from where we are."""
    listed = ["ansible-inventory", "-i", inventory, "--list"]
    done = subprocess.run(listed, capture_output=True, text=True, check=True)
    known = json.loads(done.stdout)["_meta"]["hostvars"]

    def run(host, user):
        at = known[host]
        command = ["ssh", "-i", at["ansible_private_key_file"], "-p", str(at["ansible_port"])]
        command += ["-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no"]
        command += ["-o", "UserKnownHostsFile=/dev/null", "-o", "ControlPath=none"]
        command += [f"{user}@{at['ansible_host']}", "id -un"]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    return run


@pytest.mark.parametrize("name", ["web1", "web2", "lb1"])
def test_root_cannot_log_in(log_in, name):
    assert log_in(name, "deploy").stdout == "deploy\n"
    refused = log_in(name, "root")
    assert refused.returncode == 255
    assert "Permission denied" in refused.stderr


def test_deploy_is_nobody_on_the_balancer(balancer):
    assert balancer.host.check_output("id -un") == "deploy"
    assert balancer.host.run("sudo -n true").rc != 0
    for path, mode in (("/run/fleetops-gunicorn", 0o700), ("/var/lib/fleetops-gunicorn", 0o755)):
        directory = balancer.host.file(path)
        assert (directory.user, directory.mode) == ("deploy", mode)


def test_it_went_there_and_back(server, balancer):
    assert server.version["gunicorn"] == "21.2.0"
    assert balancer.drains() == ["web1", "web2"] * 3


def test_the_app_runs_as_itself(server):
    users = server.sh("ps -o user= -p %s", ",".join(map(str, server.processes))).split()
    assert set(users) == {"app"}


def test_the_app_cannot_write_to_a_release(server):
    assert len(server.sh(OURS).split()) > 100
    assert server.sh(f"{OURS} -not -user root") == ""
    assert server.sh(f"{OURS} -perm /022") == ""
    # As the kernel sees it, whatever the modes say.
    as_app = f"setpriv --reuid app --regid app --init-groups {OURS} -writable"
    assert server.sh(as_app) == ""


def test_the_app_cannot_exchange_a_release(server):
    for entry in ("/srv/app/releases", "/srv/app/venv"):
        moved = "setpriv --reuid app --regid app --init-groups mv %s %s.mine"
        assert server.host.run(moved, entry, entry).rc != 0
    # Its home is its own apart from that.
    own = "setpriv --reuid app --regid app --init-groups"
    server.sh(f"{own} touch /srv/app/mine && {own} rm /srv/app/mine")
