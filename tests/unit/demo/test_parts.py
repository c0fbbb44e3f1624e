# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""nginx and systemd in the demo: what an observer reads, and who is refused with which words."""

from pathlib import Path

import pytest

from demo import nginx, units
from demo.errors import DemoError
from demo.rotation import Seen

PLACES = {"web1": ("127.0.0.11", 8000), "web2": ("127.0.0.12", 8000)}
CONF = """
upstream app {
    server 127.0.0.11:8000 weight=100;
    server 127.0.0.12:8000 weight=100 down; # fleetops.gunicorn: down
}
server { listen 127.0.0.10:8080; }
"""
# To web2 from the balancer, twice, and from another; to web1 in TIME_WAIT; one other end.
TABLE = """  sl  local_address rem_address   st
   0: 0A00007F:C001 0C00007F:1F40 01 0
   1: 0A00007F:C002 0C00007F:1F40 01 0
   2: 0100007F:C003 0C00007F:1F40 01 0
   3: 0A00007F:C004 0B00007F:1F40 06 0
   4: 0C00007F:1F40 0A00007F:C001 01 0
"""


def test_nginx_is_seen_by_its_file_and_its_connections() -> None:
    assert nginx.parse(CONF, TABLE, "127.0.0.10", PLACES) == {
        "web1": Seen(True, 0, 0),
        "web2": Seen(True, 1, 2),
    }


def test_server_that_the_file_has_not_is_not_there() -> None:
    assert nginx.parse("server 127.0.0.11:8000;", "", "127.0.0.10", PLACES).keys() == {"web1"}


def test_missing_nginx_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nginx, "PATHS", "")
    with pytest.raises(DemoError, match=r"apt-get install nginx-light.*BALANCER=haproxy"):
        nginx.binary("")


@pytest.mark.parametrize("state", ["running", "degraded"])
def test_systemd_of_the_user_will_do(state: str) -> None:
    assert units.problem(state, "", "systemd", True, "me") is None


@pytest.mark.parametrize(
    ("state", "init", "booted", "words"),
    [
        ("offline", "sh", False, ["process 1 here is sh", "MANAGER=supervisord"]),
        ("", "systemd", True, ["No medium found", "loginctl enable-linger me", "XDG_RUNTIME_DIR"]),
    ],
)
def test_no_systemd_is_told_with_what_to_do(
    state: str, init: str, booted: bool, words: list[str]
) -> None:
    said = "Failed to connect to bus: No medium found"
    told = units.problem(state, said, init, booted, "me")
    assert told is not None and all(word in told for word in words)


def test_no_systemctl_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DemoError, match="needs systemctl"):
        units.check()
