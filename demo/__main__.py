# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The demo's front door, called by the Makefile: ``python -m demo run|up|down|status``."""

import argparse
import http.client
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from demo import fleet as fleets
from demo import report
from demo.errors import DemoError
from demo.fleet import Fleet
from demo.rotation import Observer, gone

REPOSITORY = Path(__file__).resolve().parent.parent
# Nothing of ours runs for ever: the traffic of a forgotten `make demo-up` ends by itself.
HOURS = 4.0
COLOURS = re.compile(rb"\x1b\[[0-9;]*m")


def say(line: str) -> None:
    print(f"  {line}", flush=True)


def run(fleet: Fleet, wanted: argparse.Namespace) -> int:
    """``make demo``: the whole story, and an exit code that means it."""
    with fleet.lock("make demo"):
        print("The fleet:", flush=True)
        state = fleets.up(fleet, say)
        try:
            return story(fleet, state, wanted)
        finally:
            if wanted.keep:
                print("The fleet still runs; `make demo-down` ends it.", flush=True)
            else:
                fleets.down(fleet, lambda _: None)
                print("The fleet has been stopped; its logs stay.", flush=True)


def story(fleet: Fleet, state: dict[str, Any], wanted: argparse.Namespace) -> int:
    client = fleets.start_traffic(fleet, HOURS * 3600, wanted.rate)
    try:
        fleets.wait_for_traffic(fleet)
        say(f"{wanted.rate:g} requests a second are under way; the client never retries")
        playbook = [str(Path(sys.executable).parent / "ansible-playbook"), wanted.playbook]
        playbook += [] if wanted.drain else ["-e", '{"load_balancer_drain": false}']
        with Observer(fleet.balancer, fleets.SERVERS, partial(fleets.version, fleet)) as seen:
            # A look at the fleet as it was before, so that "before" is seen and not assumed.
            time.sleep(2.0)
            print(f"\n$ {' '.join(['ansible-playbook', *playbook[1:]])}", flush=True)
            began = time.monotonic()
            code = watch(playbook, fleet, fleet.root / "upgrade.log")
            took = time.monotonic() - began
            # What is lost by the last switch is still to come.
            time.sleep(2.0)
        traffic = fleets.stop_traffic(client, fleet)
    finally:
        if client.poll() is None:
            client.kill()
    restart = None
    if not code:
        command = fleets.restart_command(fleet)
        print(f"\nFor comparison: a bare `{command}` of web2.", flush=True)
        restart = bare_restart(fleet, "web2")
    measured = report.Measured(
        drain=wanted.drain,
        exit_code=code,
        seconds=took,
        stages=state["stages"],
        changes={name: seen.changes(name) for name in fleets.SERVERS},
        outages={name: seen.outages(name) for name in fleets.SERVERS},
        silences={
            name: [seen.silence(name, outage) for outage in seen.outages(name)]
            for name in fleets.SERVERS
        },
        traffic=traffic,
        restart=restart,
        remark=state["remark"],
        logs=[relative(fleet.root / name) for name in ("upgrade.log", "traffic.jsonl")]
        + [relative(fleet.root / "web?" / "app.log"), relative(balancer_log(fleet))],
        checks=fleet.provider == "haproxy",
    )
    print("\n".join(report.screen(measured)), flush=True)
    return 0 if report.verdict(measured)[0] else 1


def balancer_log(fleet: Fleet) -> Path:
    name = "access.log" if fleet.provider == "nginx" else "haproxy.log"
    return fleet.root / "lb1" / name


def watch(command: list[str], fleet: Fleet, log: Path) -> int:
    """Run a command with its output visible as it comes, and in a log without colours."""
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(REPOSITORY / "ansible.cfg"),
        "DEMO_ROOT": str(fleet.root),
        "PYTHONUNBUFFERED": "1",
    }
    if sys.stdout.isatty():
        environment["ANSIBLE_FORCE_COLOR"] = "1"
    with (
        log.open("wb") as handle,
        subprocess.Popen(
            command,
            cwd=REPOSITORY,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        ) as child,
    ):
        try:
            assert child.stdout is not None
            for line in child.stdout:
                sys.stdout.buffer.write(line)
                sys.stdout.buffer.flush()
                handle.write(COLOURS.sub(b"", line))
                handle.flush()
            return child.wait()
        except BaseException:
            child.terminate()
            raise


def bare_restart(fleet: Fleet, name: str) -> report.Restart:
    """How long a server is gone when it is just restarted; nobody uses it now."""
    host = fleet.hosts[name]
    answers: list[tuple[float, bool]] = []
    over = threading.Event()

    def probe() -> None:
        while not over.is_set():
            answers.append((time.monotonic(), answers_200(fleet.server(name))))
            time.sleep(0.005)

    prober = threading.Thread(target=probe, daemon=True)
    prober.start()
    began = time.monotonic()
    fleets.restart(fleet, name)
    deadline = time.monotonic() + 30
    while not answers_200(fleet.server(name)):
        if time.monotonic() > deadline:
            raise DemoError(f"{name} did not answer within 30 s after a bare restart.")
    until_200 = time.monotonic() - began
    over.set()
    prober.join(10)
    seconds = startsecs(host.home) if fleet.manager == "supervisord" else None
    command = fleets.restart_command(fleet)
    return report.Restart(name, gone(answers), until_200, seconds, command)


def answers_200(netloc: str) -> bool:
    connection = http.client.HTTPConnection(netloc, timeout=2.0)
    try:
        connection.request("GET", "/healthz", headers={"Connection": "close"})
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def startsecs(home: Path) -> int:
    found = re.search(r"^startsecs=(\d+)$", (home / "supervisord.conf").read_text(), re.M)
    return int(found.group(1)) if found else 1


def relative(path: Path) -> str:
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)


def up(fleet: Fleet, wanted: argparse.Namespace) -> int:
    """``make demo-up``: a fleet on 20.0.1 with traffic on it, left running."""
    with fleet.lock("make demo-up"):
        print("The fleet:", flush=True)
        fleets.up(fleet, say)
        if wanted.hours:
            fleets.start_traffic(fleet, wanted.hours * 3600, wanted.rate)
            fleets.wait_for_traffic(fleet)
            say(f"{wanted.rate:g} requests a second for {wanted.hours:g} h: .demo/traffic.json")
    activate = Path(sys.executable).parent / "activate"
    print(
        f"""
Now try, in {REPOSITORY}:

    . {relative(activate)}
    ansible-playbook upgrade.yml --check --diff   # the plan; changes nothing
    ansible-playbook upgrade.yml -l web1          # the canary
    ansible-playbook check.yml                    # is what runs now stable?
    ansible-playbook status.yml                   # the fleet in one table
    ansible-playbook upgrade.yml                  # everyone else
    ansible-playbook rollback.yml -l web1         # back, in seconds
    make demo-down                                # end it all; before that: has the traffic lost
    python -m demo status                         # anything?
"""
    )
    return 0


def down(fleet: Fleet, wanted: argparse.Namespace) -> int:
    """``make demo-down``: nothing of it runs afterwards. Logs and the cache stay."""
    with fleet.lock("make demo-down"):
        if not fleets.down(fleet, say):
            say("no demo fleet was running")
    return 0


def status(fleet: Fleet, wanted: argparse.Namespace) -> int:
    lines, well = fleets.status(fleet)
    print("\n".join(lines))
    return 0 if well else 1


def on_off(text: str) -> bool:
    known = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    if text.lower() not in known:
        raise argparse.ArgumentTypeError(f"DRAIN is true or false, not {text!r}")
    return known[text.lower()]


def one_of(name: str, known: Sequence[str]) -> Callable[[str], str]:
    """A value of the Makefile's variable ``name``."""

    def check(text: str) -> str:
        if text not in known:
            raise argparse.ArgumentTypeError(f"{name} is {' or '.join(known)}, not {text!r}")
        return text

    return check


def parse(arguments: list[str] | None) -> tuple[Callable[[Fleet, Any], int], argparse.Namespace]:
    parser = argparse.ArgumentParser(prog="demo", description=(__doc__ or "").partition("\n")[0])
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    for verb in (run, up, down, status):
        added = verbs.add_parser(verb.__name__, help=(verb.__doc__ or "how the fleet is").strip())
        added.set_defaults(verb=verb)
        if verb in (run, up):
            added.add_argument("--rate", type=float, default=40.0, help="requests per second")
            for name, known in (("MANAGER", fleets.MANAGERS), ("BALANCER", fleets.BALANCERS)):
                added.add_argument(
                    f"--{name.lower()}", type=one_of(name, known), default=known[0],
                    help=" or ".join(known),
                )  # fmt: skip
        if verb is up:
            added.add_argument("--hours", type=float, default=HOURS, help="of traffic; 0: none")
        if verb is run:
            added.add_argument("--drain", type=on_off, default=True, help="false: negative control")
            added.add_argument("--keep", action="store_true", help="leave the fleet running")
            added.add_argument("--playbook", default="upgrade.yml", help=argparse.SUPPRESS)
    wanted = parser.parse_args(arguments)
    return wanted.verb, wanted


def terminated(*_: object) -> None:
    raise KeyboardInterrupt


def main(arguments: list[str] | None = None) -> int:
    verb, wanted = parse(arguments)
    # `kill` and a closed terminal end the demo as Ctrl-C does: everything it started ends too.
    signal.signal(signal.SIGTERM, terminated)
    signal.signal(signal.SIGHUP, terminated)
    root = fleets.place(Path(os.environ.get("DEMO_ROOT") or REPOSITORY / ".demo"))
    cache = os.environ.get("DEMO_CACHE")
    known = fleets.read_json(root / "fleet.json") or {}
    network = os.environ.get("DEMO_NETWORK") or known.get("network", "127.0.0")
    # What runs says itself what it is; what is to be started is as it was asked for.
    manager = getattr(wanted, "manager", None) or known.get("manager", fleets.MANAGERS[0])
    provider = getattr(wanted, "balancer", None) or known.get("balancer", fleets.BALANCERS[0])
    try:
        fleet = Fleet(root, network, Path(cache) if cache else None, manager, provider)
        return verb(fleet, wanted)
    except DemoError as exc:
        print(f"demo: {exc}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("demo: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
