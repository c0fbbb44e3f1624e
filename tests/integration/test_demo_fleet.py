# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The demo fleet on real parts: what its traffic counts, what its observer sees, who it ends."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from demo import fleet as fleets
from demo import processes, pythons
from demo.errors import DemoError
from demo.fleet import Fleet
from demo.rotation import Observer

NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
ROOT = Path(__file__).resolve().parents[2]


def free_network() -> str:
    """Three bytes of a loopback network on which nobody has the demo's ports."""
    for third in range(1, 250):
        network = f"127.77.{(os.getpid() + third) % 250}"
        wanted = [(f"{network}.10", 8080), (f"{network}.11", 8000), (f"{network}.12", 8000)]
        if not any(processes.port_problem(*place) for place in wanted):
            return network
    pytest.fail("no free loopback network")


def leave_out(reason: str) -> None:
    """In CI leaving something out is a failure."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    root = tmp_path_factory.mktemp("demo").resolve()
    # What was fetched once serves every run; the fleet itself is this test's own.
    made = Fleet(root, free_network(), ROOT / ".demo" / "cache")
    try:
        fleets.wheelhouse(made.cache, pythons.find().start, print)
    except DemoError as exc:
        leave_out(f"the demo's packages cannot be had: {exc}")
    fleets.up(made, print)
    yield made
    fleets.down(made, print)
    assert processes.of_fleet(root) == {}


@contextlib.contextmanager
def traffic(fleet: Fleet) -> Iterator[dict[str, int]]:
    """Traffic around what is inside; the summary is filled in at the end."""
    client = fleets.start_traffic(fleet, 120, 40)
    counted: dict[str, int] = {}
    try:
        fleets.wait_for_traffic(fleet)
        yield counted
        time.sleep(1)
        counted.update(fleets.stop_traffic(client, fleet))
    finally:
        if client.poll() is None:
            client.kill()


def wait(what: str, true: Callable[[], object], seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.02)


def restart(fleet: Fleet, name: str) -> None:
    """What a careless operator does, and the answer that he waits for."""
    fleets.supervisorctl(fleet.hosts[name], "restart", "app")
    wait("an answer", lambda: fleets.version(fleet, name))


def drained_restart(fleet: Fleet, name: str) -> None:
    """The steps of a rollout, by hand."""
    server = f"{fleet.admin.backend}/{name}"
    others = [other for other in fleets.SERVERS if other != name]
    assert all(fleet.admin.look()[other].in_rotation for other in others)
    fleet.admin.ask(f"set server {server} state drain")
    wait("no session", lambda: not fleet.admin.look()[name].sessions)
    restart(fleet, name)
    fleet.admin.ask(f"set server {server} state ready")
    wait("UP", lambda: fleet.admin.look()[name].in_rotation)


def test_fleet_starts_as_promised(fleet: Fleet) -> None:
    start = pythons.find().start
    for name in fleets.SERVERS:
        told = fleets.version(fleet, name)
        assert told is not None
        assert (told["host"], told["gunicorn"], told["python"]) == (name, "20.0.1", start.full)
        assert processes.read(told["arbiter_pid"]) is not None
        venv = fleet.hosts[name].app_home / "venv"
        assert venv.is_dir() and not venv.is_symlink()
    assert fleets.status(fleet)[1]


def test_restart_without_draining_loses_requests_and_with_draining_none(fleet: Fleet) -> None:
    with traffic(fleet) as careless:
        for name in fleets.SERVERS:
            restart(fleet, name)
    assert careless["failed"] > 0, careless

    fleets.wait_until_serving(fleet)
    with (
        traffic(fleet) as careful,
        Observer(fleet.admin, fleets.SERVERS, partial(fleets.version, fleet)) as seen,
    ):
        time.sleep(1)
        for name in fleets.SERVERS:
            drained_restart(fleet, name)
        # The observer looks every 50 ms: let it see the end as well.
        time.sleep(0.5)
    assert careful["failed"] == 0, careful
    assert all(careful["kinds"][kind]["sent"] > 0 for kind in ("new", "keepalive", "slow"))

    for name in fleets.SERVERS:
        (outage,) = seen.outages(name)
        assert outage.over
        # A slow request takes 2 s, so the drain took a while; the restart waits for startsecs.
        assert outage.draining > 0.5
        assert outage.switching > 6
        assert 0 < seen.silence(name, outage) < outage.total
        before, after = seen.changes(name)
        assert before.arbiter_pid != after.arbiter_pid


def test_orphans_of_a_killed_supervisor_are_ended_by_pid(fleet: Fleet) -> None:
    running = processes.of_fleet(fleet.root)
    (victim,) = [p for p in running["supervisord"] if "web2" in " ".join(p.argv)]
    os.kill(victim.pid, signal.SIGKILL)
    wait("the supervisor to be gone", lambda: processes.read(victim.pid) is None)
    orphans = processes.of_fleet(fleet.root)["gunicorn"]
    assert any("web2" in " ".join(orphan.argv) for orphan in orphans)

    fleets.up(fleet, print)

    assert fleets.status(fleet)[1]
    assert all(processes.read(orphan.pid) != orphan for orphan in orphans)


def test_port_of_a_stranger_is_left_alone_and_named(fleet: Fleet, tmp_path: Path) -> None:
    network = free_network()
    with socket.socket() as stranger:
        stranger.bind((f"{network}.12", 8000))
        stranger.listen(1)
        with pytest.raises(DemoError, match=rf"{network}\.12:8000 is taken by pid {os.getpid()} "):
            fleets.up(Fleet(tmp_path.resolve(), network, fleet.cache), print)
    assert not (tmp_path / "fleet.json").exists()


@pytest.mark.parametrize("up", [True, False])
def test_inventory_reads_the_fleet_or_says_how_to_get_one(
    fleet: Fleet, tmp_path: Path, up: bool
) -> None:
    ansible = Path(sys.executable).parent / "ansible"
    shown = "{{ [app_home, app_health_url, load_balancer_socket, rollout_stages | length] }}"
    done = subprocess.run(
        [str(ansible), "web1", "-m", "debug", "-a", f'msg="{shown}"'],
        cwd=ROOT,
        env={**os.environ, "DEMO_ROOT": str(fleet.root if up else tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stdout + done.stderr
    if up:
        assert done.returncode == 0, said
        state = json.loads(fleet.state.read_text())
        assert state["hosts"]["web1"]["app_home"] in said and state["balancer_socket"] in said
    else:
        assert done.returncode != 0
        assert "make demo-up" in said and "Traceback" not in said


@pytest.mark.skipif(not NGINX and os.environ.get("CI") != "true", reason="no nginx here")
def test_behind_nginx_only_a_drained_restart_loses_nothing(fleet: Fleet, tmp_path: Path) -> None:
    made = Fleet(tmp_path.resolve(), free_network(), fleet.cache, provider="nginx")
    fleets.up(made, print)
    try:
        assert fleets.status(made)[1]
        with traffic(made) as careless:
            restart(made, "web1")
        assert careless["failed"] > 0, careless

        with (
            traffic(made) as careful,
            Observer(made.balancer, fleets.SERVERS, partial(fleets.version, made)) as seen,
        ):
            mark(made, "web1", " down")
            wait("no session", lambda: not made.balancer.look()["web1"].sessions)
            restart(made, "web1")
            mark(made, "web1", "")
            time.sleep(0.5)
        assert careful["failed"] == 0, careful
        (outage,) = seen.outages("web1")
        assert outage.over and outage.draining > 0.5 and outage.switching > 6
        assert not seen.outages("web2")
    finally:
        assert fleets.down(made, print)
    assert processes.of_fleet(made.root) == {}


def mark(fleet: Fleet, name: str, word: str) -> None:
    """Take a server out of nginx, or put it back, as an operator does it by hand."""
    text = fleet.nginx_conf.read_text()
    line = f"server {fleet.server(name)} weight=100"
    fleet.nginx_conf.write_text(text.replace(f"{line} down", line).replace(line, line + word))
    (master,) = [p for p in processes.of_fleet(fleet.root)["nginx"] if "master" in p.argv[0]]
    os.kill(master.pid, signal.SIGHUP)
    # Until its old workers have stopped to accept.
    time.sleep(2)


@pytest.mark.skipif(Path("/run/systemd/system").exists(), reason="a systemd may be the user's here")
def test_without_a_systemd_nothing_is_started(fleet: Fleet, tmp_path: Path) -> None:
    wanted = Fleet(tmp_path.resolve(), free_network(), fleet.cache, manager="systemd")
    with pytest.raises(DemoError, match=r"MANAGER=systemd needs .*MANAGER=supervisord"):
        fleets.up(wanted, print)
    assert not list(tmp_path.iterdir())


def test_second_demo_in_the_same_place_is_refused(fleet: Fleet) -> None:
    second = Fleet(fleet.root, fleet.network)
    with (
        fleet.lock("a test"),
        pytest.raises(DemoError, match=f"pid {os.getpid()}, a test"),
        second.lock("another"),
    ):
        pass
