# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the fleet is made of, without starting it."""

import os
import stat
from pathlib import Path

import pytest

from demo import fleet as fleets
from demo import gunicorn_20_0_1, nginx, units
from demo.errors import DemoError
from demo.fleet import Fleet
from demo.pythons import Choice, Python


def test_only_the_version_line_is_changed() -> None:
    before = "# gunicorn\nversion_info = (20, 0, 2)\n__version__ = ...\n"
    assert gunicorn_20_0_1.change_version(before) == before.replace("(20, 0, 2)", "(20, 0, 1)")


@pytest.mark.parametrize(
    "text", ["", "version_info = (20, 0, 4)", "version_info = (20, 0, 2)\n" * 2]
)
def test_another_source_than_expected_is_refused(text: str) -> None:
    with pytest.raises(DemoError, match="has served another file"):
        gunicorn_20_0_1.change_version(text)


def configured(root: Path, **parts: str) -> Fleet:
    fleet = Fleet(root, "127.9.9", None, **parts)
    for host in fleet.hosts.values():
        host.home.mkdir(parents=True)
    fleets.configure(fleet)
    return fleet


def test_configuration_names_the_places_of_its_host(tmp_path: Path) -> None:
    fleet = configured(tmp_path)
    text = (tmp_path / "web2" / "supervisord.conf").read_text()
    assert f"command={tmp_path}/web2/app/venv/bin/gunicorn --bind 127.9.9.12:8000" in text
    assert f"file={fleet.sockets}/web2.sock" in text
    for line in ("stopsignal=TERM", "stopasgroup=false", "killasgroup=true", "stopwaitsecs=35"):
        assert line in text.splitlines()
    haproxy = (tmp_path / "lb1" / "haproxy.cfg").read_text()
    assert "bind 127.9.9.10:8080" in haproxy and "server web1 127.9.9.11:8000" in haproxy


def test_balancer_hides_no_loss(tmp_path: Path) -> None:
    configured(tmp_path)
    text = (tmp_path / "lb1" / "haproxy.cfg").read_text()
    settings = [line.strip() for line in text.splitlines() if not line.startswith("#")]
    assert "retries 0" in settings
    assert not any(line.startswith(("retry-on", "option redispatch")) for line in settings)


def test_nginx_hides_no_loss_and_tells_its_connections_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nginx, "binary", lambda _path: "/usr/sbin/nginx")
    configured(tmp_path, provider="nginx")
    text = (tmp_path / "lb1" / "nginx.conf").read_text()
    assert "proxy_next_upstream off;" in text and "proxy_bind 127.9.9.10;" in text
    assert "server 127.9.9.11:8000 weight=100;" in text and "$upstream_status" in text
    supervisord = (tmp_path / "lb1" / "supervisord.conf").read_text()
    assert f"-c {tmp_path}/lb1/nginx.conf" in supervisord


def test_units_name_the_places_of_their_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.setattr(units, "do", lambda *_words: None)
    monkeypatch.setattr(nginx, "binary", lambda _path: "/usr/sbin/nginx")
    fleet = configured(tmp_path / "demo", manager="systemd", provider="nginx")
    web, balancer = (
        (tmp_path / "run" / "systemd" / "user" / fleet.units.name(name)).read_text()
        for name in ("web2", "lb1")
    )
    assert f"ExecStart={tmp_path}/demo/web2/app/venv/bin/gunicorn --bind 127.9.9.12:8000" in web
    assert {"KillMode=mixed", "TimeoutStopSec=35", "Type=notify"} <= set(web.splitlines())
    assert f"nginx -c {tmp_path}/demo/lb1/nginx.conf" in balancer
    other = Fleet(tmp_path / "other")
    assert other.units.name("web2") != fleet.units.name("web2") and not other.units.files()


def test_stages_keep_the_python_when_there_is_no_other() -> None:
    fleet = Fleet(Path("/x"))
    old, new = Python((3, 6, 15), "/p/6", "3.6"), Python((3, 11, 7), "/p/11", "3.11")
    assert fleets.describe(fleet, Choice(old, new))["stages"] == [
        {"gunicorn": "21.2.0"},
        {"gunicorn": "23.0.0", "python": "3.11"},
    ]
    assert fleets.describe(fleet, Choice(new, new))["stages"][1] == {"gunicorn": "23.0.0"}


def test_sockets_of_a_deep_checkout_are_short_and_stable(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 80)
    assert fleets.socket_directory(tmp_path / "s") == tmp_path / "s" / "run"
    short = fleets.socket_directory(deep)
    assert short == fleets.socket_directory(deep) != fleets.socket_directory(tmp_path / ("e" * 80))
    assert len(str(short / "haproxy.sock")) <= fleets.LONGEST_SOCKET


def test_socket_directory_is_private(tmp_path: Path) -> None:
    path = tmp_path / "run"
    path.mkdir(mode=0o777)
    fleets.make_socket_directory(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o700


def test_socket_directory_that_is_not_ours_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").symlink_to(tmp_path)
    with pytest.raises(DemoError, match="Remove it"):
        fleets.make_socket_directory(tmp_path / "run")


def test_root_has_its_fleet_where_nobody_else_can_exchange_it(tmp_path: Path) -> None:
    root = tmp_path / ".demo"
    assert fleets.place(root) == root
    if os.geteuid() != 0:
        return
    tmp_path.chmod(0o777)
    elsewhere = fleets.place(root)
    try:
        assert elsewhere == fleets.place(root) == root.resolve() != root
        assert stat.S_IMODE(elsewhere.stat().st_mode) == 0o700
    finally:
        elsewhere.rmdir()


@pytest.mark.parametrize("name", ["with space", "per%cent", "quo'te", "bra{ce"])
def test_path_that_ansible_cannot_run_in_is_refused(name: str) -> None:
    with pytest.raises(DemoError, match="Put the checkout somewhere else"):
        fleets.check_machine(Path("/home/me") / name / ".demo")


def test_status_without_a_fleet_says_how_to_get_one(tmp_path: Path) -> None:
    lines, well = fleets.status(Fleet(tmp_path))
    assert not well and "make demo-up" in lines[0]
