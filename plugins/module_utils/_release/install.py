# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fill a virtualenv, or a wheelhouse, with what was planned."""

import glob
import os
import re
import shutil
import zipfile
from typing import Callable, Dict, List, Mapping, Optional, Sequence, Set, Tuple

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.commands import Result, run
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.carried_pins import (
    Carried,
    moved,
    relaxed_text,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.index import (
    downloader,
    fetcher,
    indexes,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.installer import (
    PIP_FOR_36,
    Failure,
    Source,
    choose,
    explain,
    install_command,
    install_environment,
    read_pip_config,
    wheel_command,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.interpreters import (
    Interpreter,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.provenance import Archive
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.requirements import (
    Prepared,
    flatten,
    prepare,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.sdist import (
    find_at,
    find_in,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.venv import read_dists
from ansible_collections.fleetops.gunicorn.plugins.module_utils._release.build_plan import Plan
from ansible_collections.fleetops.gunicorn.plugins.module_utils._release.launch import log_tail

TIMEOUT = 1800.0
# How often pins that stand in the way are let go, before all of them are.
ROUNDS = 6

Command = Callable[[Prepared, str, str], List[str]]


def _pip_configuration() -> Dict[str, str]:
    """pip's configuration of this host, for uv."""
    places = [os.path.join(d, "pip/pip.conf") for d in ("/etc/xdg",)] + ["/etc/pip.conf"]
    home = os.path.expanduser("~")
    places += [os.path.join(home, ".pip/pip.conf"), os.path.join(home, ".config/pip/pip.conf")]
    named = os.environ.get("PIP_CONFIG_FILE", "")
    if named:
        places = [] if named == os.devnull else places + [named]
    texts = []
    for place in places:
        try:
            with open(place, encoding="utf-8") as file:
                texts.append(file.read())
        except (OSError, UnicodeDecodeError):
            continue
    return read_pip_config(texts)


def _unpack_pip(wheel: str, scratch: str, name: str) -> str:
    """pip out of its wheel, beside the venv and not in it: a release holds no installer."""
    target = os.path.join(scratch, name)
    with zipfile.ZipFile(wheel) as archive:
        members = [m for m in archive.namelist() if m.startswith("pip/")]
        archive.extractall(target, members)
    return target


def make_venv(plan: Plan, path: str) -> None:
    """An empty venv: no pip in it, which uv does not need and a release must not have."""
    command = [plan.interpreter.executable, "-m", "venv", "--without-pip", path]
    env = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    result = run(command, env, "/", 120)
    if result.status != 0:
        if "No space left" in result.output:
            raise OSError(28, "No space left on device", path)
        raise FleetError(
            f"{plan.interpreter.executable} cannot make a virtualenv: "
            f"{result.error or log_tail(result.output, {}, 4)}"
        )


class Installation:
    """What uv and pip do for one plan; ``scratch`` is theirs."""

    def __init__(self, plan: Plan, path: str, scratch: str, alone: bool = False) -> None:
        self.plan = plan
        # Without what the requirements ask for themselves.
        self.alone = alone
        self.path = path
        self.scratch = scratch
        self.python = os.path.join(path, "bin", "python")
        self.environment = install_environment(os.environ, plan.order.source, _pip_configuration())
        self.environment["TMPDIR"] = scratch
        # What moved, if the pins carried over could not all be kept.
        self.relaxed: Dict[str, str] = {}

    def install(self) -> None:
        """Fill the virtualenv."""
        plan = self.plan
        if plan.installer == "pip":
            self._provide_pip()

        def command(prepared: Prepared, requirements: str, constraints: str) -> List[str]:
            return install_command(
                plan.installer,
                self.python,
                requirements,
                constraints,
                prepared.hashed,
                plan.order.source,
                plan.uv,
                bool(plan.inputs.get("local") or plan.inputs.get("links")),
            ) + (["--no-deps"] if self.alone else [])

        if self._attempt(command) and plan.carried:
            self.relaxed = moved(plan.carried, {d.name: d.version for d in read_dists(self.path)})

    def wheels(self, directory: str) -> None:
        """Fill a directory with wheels; pip's own too, where Python needs another than it has."""
        self._provide_pip()

        def command(prepared: Prepared, requirements: str, constraints: str) -> List[str]:
            return wheel_command(self.python, requirements, constraints, prepared.hashed, directory)

        self._attempt(command)
        for wheel in glob.glob(os.path.join(glob.escape(self.scratch), "pip-*.whl")):
            shutil.copy(wheel, directory)

    def _provide_pip(self) -> None:
        """Make ``python -m pip`` one that is fit for this Python."""
        own = _unpack_pip(self.plan.interpreter.pip_wheel, self.scratch, "pip-own")
        if not self.plan.interpreter.version.startswith("3.6."):
            self.environment["PYTHONPATH"] = own
            return
        house = self.plan.order.source.wheelhouse
        pattern = f"pip-{PIP_FOR_36}-*.whl"
        found = glob.glob(os.path.join(glob.escape(house), pattern)) if house else []
        if house and not found:
            raise FleetError(
                f"wheelhouse {house} has no pip-{PIP_FOR_36} wheel. Python 3.6 needs it (the pip "
                "that it brings takes wheels it should not): `pip download --no-deps "
                f"pip=={PIP_FOR_36}` into it."
            )
        if not found:
            command = [self.python, "-m", "pip", "download", "-q", "--no-deps"]
            command += ["--dest", self.scratch, "pip==" + PIP_FOR_36]
            result = run(command, dict(self.environment, PYTHONPATH=own), self.scratch, TIMEOUT)
            found = glob.glob(os.path.join(glob.escape(self.scratch), pattern))
            if result.status != 0 or not found:
                raise FleetError(
                    f"pip {PIP_FOR_36}, which Python 3.6 needs, cannot be fetched: "
                    f"{self._explain(result).text}"
                )
        self.environment["PYTHONPATH"] = _unpack_pip(found[0], self.scratch, "pip-3.6")

    def _attempt(self, command: Command) -> bool:
        """Try; let go of pins carried over that stand in the way. True if some had to go."""
        carried = self.plan.carried if self.plan.may_relax else None
        free: Set[str] = set()
        reasons: List[str] = []
        prepared = self.plan.prepared
        for number in range(ROUNDS + 2):
            result = self._run(command, prepared, number)
            if result.status == 0:
                return bool(free)
            failure = self._explain(result)
            reasons.append(failure.text)
            more = _in_the_way(carried, free, failure, number >= ROUNDS)
            if carried is None or not more:
                break
            free |= more
            text = relaxed_text(carried, free)
            source = "carried over"
            prepared = prepare(
                flatten(text, source), self.plan.order.gunicorn, source, False, carried.setuptools
            )
        raise FleetError(self._told(reasons, failure))

    def _told(self, reasons: List[str], failure: Failure) -> str:
        plan, order = self.plan, self.plan.order
        if self.alone:
            return reasons[0]
        version = plan.interpreter.version
        text = f"gunicorn {order.gunicorn} on Python {version}, "
        if plan.carried is None:
            source = order.requirements_source or order.requirements_file or "given"
            return f"{text}requirements {source}: {reasons[0]}"
        text += f"pins carried over from {order.carry_from}: {reasons[0]}"
        if len(reasons) > 1:
            text += "\nWith the pins of dependencies free to move within their major version: "
            text += reasons[-1]
        if failure.pins:
            minor = plan.interpreter.minor
            text += f"\nGive this stage a requirements file that suits Python {minor}."
        return text

    def _run(self, command: Command, prepared: Prepared, number: int) -> Result:
        files: List[str] = []
        for name, text in (("requirements", prepared.text), ("constraints", prepared.constraints)):
            files.append(os.path.join(self.scratch, f"{name}-{number}.txt") if text else "")
            if text:
                # It may hold the credentials of an index.
                with open(os.open(files[-1], os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
                    file.write(text)
        # Not in the home: uv would take the [tool.uv] of the application's pyproject.toml.
        argv = command(prepared, files[0], files[1])
        return run(argv, self.environment, "/", TIMEOUT)

    def _explain(self, result: Result) -> Failure:
        plan = self.plan

        def told(existing: Optional[List[str]]) -> Failure:
            return explain(
                result.error + "\n" + result.output,
                plan.order.gunicorn,
                plan.interpreter.version,
                plan.order.source,
                existing,
            )

        failure = told(None)
        if plan.installer == "uv" and "has no gunicorn" in failure.text:
            return told(self._existing())
        return failure

    def _existing(self) -> List[str]:
        """The versions of gunicorn around the wanted one; uv's message does not list them."""
        command = [self.plan.uv, "pip", "install", "--python", self.python, "--dry-run"]
        command += ["--no-deps", "--color", "never"]
        if self.plan.order.source.wheelhouse:
            command += ["--no-index", "--find-links", self.plan.order.source.wheelhouse]
        found = []
        for spec, extra in (("<", []), (">", ["--resolution", "lowest-direct"])):
            wanted = extra + ["gunicorn" + spec + self.plan.order.gunicorn]
            result = run(command + wanted, self.environment, "/", 60)
            found += re.findall(r"(?m)^\s*\+ gunicorn==(\S+)", result.output)
        return found


def install_again(
    plan: Plan, pins: Mapping[str, str], interpreter: Interpreter, scratch: str
) -> Tuple[str, Dict[str, str]]:
    """(a virtualenv with these versions alone for another Python, why some are not in it).

    All at once; one by one if that fails, so that the one that cannot be had is known.
    """
    venv = os.path.join(scratch, "again")
    # uv does not know every Python that an application may run on.
    wanted = "pip" if plan.order.installer == "pip" else "auto"
    try:
        installer = choose(wanted, plan.uv, interpreter.version, False, interpreter.pip_wheel)
        again = plan._replace(interpreter=interpreter, installer=installer, carried=None, base=None)
        make_venv(again, venv)
    except FleetError as exc:
        return "", dict.fromkeys(pins, str(exc).partition("\n")[0][:300])
    missing: Dict[str, str] = {}

    def install(names: Sequence[str], number: int) -> None:
        text = "".join(f"{name}=={pins[name]}\n" for name in names)
        place = os.path.join(scratch, f"again-{number}")
        os.mkdir(place, 0o700)
        prepared = Prepared(text, "", False, False, ())
        Installation(again._replace(prepared=prepared), venv, place, True).install()

    names = sorted(pins)
    try:
        install(names, 0)
    except FleetError:
        for number, name in enumerate(names, 1):
            try:
                install([name], number)
            except FleetError as exc:
                missing[name] = str(exc).partition("\n")[0][:300]
    return venv, missing


def sources_of(source: Source) -> Callable[[str, str], Optional[Archive]]:
    """What finds the source archive of a version where packages come from."""
    environment = install_environment(os.environ, source, _pip_configuration())
    authorities = environment.get("SSL_CERT_FILE", "")
    fetch, download = fetcher(30, authorities), downloader(30, authorities)

    def find(name: str, version: str) -> Optional[Archive]:
        try:
            if source.wheelhouse:
                return find_in(source.wheelhouse, name, version)
            return find_at(indexes(environment), name, version, fetch, download)
        except (OSError, ValueError):
            return None

    return find


def _in_the_way(
    carried: Optional[Carried], free: Set[str], failure: Failure, every: bool
) -> Set[str]:
    """The pins that a failure names and that may move; in the end all that may."""
    if carried is None or not failure.pins:
        return set()
    left = {name for name, dummy in carried.pins if name not in carried.direct} - free
    text = re.sub(r"[_.]", "-", failure.text.lower())
    named = {n for n in left if re.search(rf"(?<![\w-]){re.escape(n)}(?![\w-])", text)}
    return left if every or not named else named
