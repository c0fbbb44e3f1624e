# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from ansible_collections.fleetops.gunicorn.plugins.module_utils._service.systemd import (
    sandbox,
    target,
)

# As systemd 252 shows a unit that sets none of it.
PLAIN = """\
Id=app.service
User=
DynamicUser=no
PrivateTmp=no
ProtectSystem=no
ProtectProc=default
UMask=0022
LimitNOFILE=524288
LimitNOFILESoft=1024
MemoryMax=infinity
SystemCallFilter=
RuntimeDirectory=
RuntimeDirectoryMode=0755
LoadCredential=[unprintable]
EnvironmentFiles=/etc/a (ignore_errors=no)
EnvironmentFiles=/etc/b (ignore_errors=yes)
"""


def properties(more="", written=()):
    return sandbox.trial_properties(sandbox.read_repeated(PLAIN + more), written)


def test_what_is_not_set_is_not_said():
    assert properties() == ("User=root", "UMask=0022", "LimitNOFILE=1024:524288")


def test_what_is_set_holds():
    found = properties("PrivateTmp=yes\nProtectSystem=strict\nReadWritePaths=/srv -/x\n")
    assert {"PrivateTmp=yes", "ProtectSystem=strict", "ReadWritePaths=/srv -/x"} <= set(found)


def test_a_dynamic_user_is_the_same_one():
    """Another one would take its directories over."""
    assert properties("DynamicUser=yes\n")[:2] == ("User=app", "DynamicUser=yes")


def test_a_runtime_directory_outlives_the_trial():
    found = properties("RuntimeDirectory=app\nRuntimeDirectoryMode=0750\n")
    where = found.index("RuntimeDirectory=app")
    assert found[where + 1 : where + 3] == (
        "RuntimeDirectoryMode=0750",
        "RuntimeDirectoryPreserve=yes",
    )


def test_the_loopback_is_always_allowed():
    assert "RestrictAddressFamilies=AF_INET" in properties("RestrictAddressFamilies=AF_UNIX\n")
    assert "RestrictAddressFamilies=AF_INET" not in properties("RestrictAddressFamilies=~AF_X\n")
    assert properties("IPAddressDeny=0.0.0.0/0 ::/0\n")[-2:] == (
        "IPAddressAllow=localhost",
        "LimitNOFILE=1024:524288",
    )


def test_credentials_are_taken_from_the_files_of_the_unit():
    text = (
        "[Service]\nLoadCredential=old:/x\n# drop-in\n[Service]\nLoadCredential=\n"
        "LoadCredential=a:/etc/a\nLoadCredential = b:/etc/b\n[Install]\nLoadCredential=c:/c\n"
    )
    written = target.written_list(text, sandbox.CREDENTIALS)
    assert written == ["LoadCredential=a:/etc/a", "LoadCredential=b:/etc/b"]
    assert properties(written=tuple(written))[-2:] == tuple(written)


def test_the_command_of_a_trial():
    argv = ("/r/bin/python", "-c", "$HOME")
    found = sandbox.trial_command(("A=1",), "fleetops-trial-x", "/tmp/e", "/tmp/s", "/srv", argv, 9)
    assert found[:6] == [
        "systemd-run",
        "--quiet",
        "--pipe",
        "--wait",
        "--collect",
        "--unit=fleetops-trial-x",
    ]
    assert found[6] == "--property=A=1"
    assert "--property=BindPaths=/tmp/s" in found
    assert found[-4:] == ["--", "/r/bin/python", "-c", "$$HOME"]
    assert not any("Environment=" in each for each in found)
