# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Build a release: in a temporary place, checked there, then named by one rename."""

import glob
import os
import pwd
import shutil
import tempfile
import time
import zipfile
from contextlib import contextmanager, suppress
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

from ansible_collections.fleetops.gunicorn.plugins.module_utils import _boot, _carry, _venv
from ansible_collections.fleetops.gunicorn.plugins.module_utils._command import Result, User, run
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._installer import (
    PIP_FOR_36,
    explain,
    install_command,
    install_environment,
    read_pip_config,
    wheel_command,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._launch import (
    Launch,
    Prefix,
    log_tail,
    parse_command,
    retarget,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._order import Plan
from ansible_collections.fleetops.gunicorn.plugins.module_utils._place import (
    clear_stale,
    free_space,
    locked,
    names_inside,
    put_aside,
    read_record,
    remove_tree,
    rename_inside,
    set_modes,
    sync_directory,
    sync_tree,
    why_not_believed,
    write_record,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._pythons import (
    probe_python,
    user_named,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._release import (
    SCHEMA,
    build_name,
    check_space,
    inputs_sha256,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._requirements import (
    Prepared,
    same_version,
)

INSTALL_TIMEOUT = 1800.0


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


class Builder:
    """The steps of one build. ``log`` collects how long each took."""

    def __init__(self, plan_: Plan) -> None:
        self.plan = plan_
        self.order = plan_.order
        self.timings: Dict[str, float] = {}
        self.relaxed: Dict[str, str] = {}
        self.warnings: List[str] = []

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        finally:
            self.timings[name + "_s"] = round(time.monotonic() - began, 3)

    def make_venv(self, path: str) -> None:
        """An empty venv: no pip in it, which uv does not need and a release must not have."""
        command = [self.plan.interpreter.executable, "-m", "venv", "--without-pip", path]
        env = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        result = run(command, env, "/", 120)
        if result.status != 0:
            raise FleetError(
                f"{self.plan.interpreter.executable} cannot make a virtualenv: "
                f"{result.error or log_tail(result.output, {}, 4)}"
            )

    def environment(self) -> Dict[str, str]:
        return install_environment(os.environ, self.order.source, _pip_configuration())

    def provide_pip(self, python: str, scratch: str, env: Dict[str, str]) -> Dict[str, str]:
        """An environment in which ``python -m pip`` is a pip fit for this Python."""
        own = _unpack_pip(self.plan.interpreter.pip_wheel, scratch, "pip-own")
        if not self.plan.interpreter.version.startswith("3.6."):
            return dict(env, PYTHONPATH=own)
        house = self.order.source.wheelhouse
        pattern = f"pip-{PIP_FOR_36}-*.whl"
        wheels = glob.glob(os.path.join(glob.escape(house), pattern)) if house else []
        if house and not wheels:
            raise FleetError(
                f"wheelhouse {house} has no pip-{PIP_FOR_36} wheel. Python 3.6 needs it (the pip "
                "that it brings takes wheels it should not): `pip download --no-deps "
                f"pip=={PIP_FOR_36}` into it."
            )
        if not wheels:
            command = [python, "-m", "pip", "download", "-q", "--no-deps", "--dest", scratch]
            command.append("pip==" + PIP_FOR_36)
            result = run(command, dict(env, PYTHONPATH=own), scratch, INSTALL_TIMEOUT)
            wheels = glob.glob(os.path.join(glob.escape(scratch), pattern))
            if result.status != 0 or not wheels:
                raise FleetError(
                    f"pip {PIP_FOR_36}, which Python 3.6 needs, cannot be fetched: "
                    f"{self.explain(result).text}"
                )
        return dict(env, PYTHONPATH=_unpack_pip(wheels[0], scratch, "pip-3.6"))

    def explain(self, result: Result, existing: Optional[List[str]] = None) -> Any:
        return explain(
            result.error + "\n" + result.output,
            self.order.gunicorn,
            self.plan.interpreter.version,
            self.order.source,
            existing,
        )

    def _existing(self, python: str, env: Dict[str, str]) -> List[str]:
        """The versions of gunicorn around the wanted one; uv's message does not list them."""
        command = [self.plan.uv, "pip", "install", "--python", python, "--dry-run", "--no-deps"]
        command += ["--color", "never"]
        if self.order.source.wheelhouse:
            command += ["--no-index", "--find-links", self.order.source.wheelhouse]
        found = []
        for spec, extra in (("<", []), (">", ["--resolution", "lowest-direct"])):
            result = run(command + extra + ["gunicorn" + spec + self.order.gunicorn], env, "/", 60)
            found += [
                line.split("==")[1].strip()
                for line in result.output.splitlines()
                if line.strip().startswith("+ gunicorn==")
            ]
        return found

    def install(self, path: str, scratch: str) -> None:
        python = os.path.join(path, "bin", "python")
        env = self.environment()
        env["TMPDIR"] = scratch
        if self.plan.installer == "pip":
            env = self.provide_pip(python, scratch, env)
        tries = [self.plan.first] + ([self.plan.second] if self.plan.second else [])
        reasons = []
        for number, prepared in enumerate(tries):
            result = self._try(prepared, python, scratch, env, number)
            if result.status == 0:
                if number and self.plan.carried:
                    installed = {d.name: d.version for d in _venv.read_dists(path)}
                    self.relaxed = _carry.moved(self.plan.carried, installed)
                    self.warnings.append(
                        "Not every pin carried over suits Python {}; these moved: {}.".format(
                            self.plan.interpreter.version,
                            ", ".join("{} {}".format(*i) for i in sorted(self.relaxed.items())),
                        )
                    )
                return
            failure = self.explain(result)
            if "has no gunicorn" in failure.text and self.plan.installer == "uv":
                failure = self.explain(result, self._existing(python, env))
            reasons.append(failure.text)
            if not failure.pins:
                break
        text = "{} on Python {}, {}: {}".format(
            "gunicorn " + self.order.gunicorn,
            self.plan.interpreter.version,
            "requirements " + (self.order.requirements_source or self.order.requirements_file)
            if self.plan.carried is None
            else "pins carried over from " + self.order.carry_from,
            reasons[0],
        )
        if len(reasons) > 1:
            text += "\nWith the pins of dependencies free to move within their major version: "
            text += reasons[1]
        if self.plan.carried is not None and failure.pins:
            minor = self.plan.interpreter.minor
            text += f"\nGive this stage a requirements file that suits Python {minor}."
        raise FleetError(text)

    def _try(
        self, prepared: Prepared, python: str, scratch: str, env: Dict[str, str], number: int
    ) -> Result:
        files = []
        for name, text in (("requirements", prepared.text), ("constraints", prepared.constraints)):
            files.append("")
            if text:
                files[-1] = os.path.join(scratch, f"{name}-{number}.txt")
                # It may hold the credentials of an index.
                with open(os.open(files[-1], os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
                    file.write(text)
        command = install_command(
            self.plan.installer,
            python,
            files[0],
            files[1],
            prepared.hashed,
            self.order.source,
            self.plan.uv,
        )
        # Not in the home: uv would take the [tool.uv] of the application's pyproject.toml.
        return run(command, env, scratch, INSTALL_TIMEOUT)

    def compile(self, path: str) -> None:
        """Byte-compile now: later the first import would do it, inside the outage.

        A file that this Python cannot parse (a template, a tool for a newer one) is no fault.
        """
        sites = _venv.site_packages(path)
        env = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        command = [os.path.join(path, "bin", "python"), "-m", "compileall", "-q", "-j", "0"]
        run(command + sites, env, "/", INSTALL_TIMEOUT)

    def check_installed(self, path: str) -> List[_carry.Dist]:
        dists = _venv.read_dists(path)
        got = next((d.version for d in dists if d.name == "gunicorn"), "none")
        if not same_version(got, self.order.gunicorn):
            raise FleetError(
                "gunicorn {} was to be installed and {} was; {}".format(
                    self.order.gunicorn, got, "a package of the requirements insists on it"
                )
            )
        return dists

    def record(
        self, dists: List[_carry.Dist], checks: Dict[str, Any], now: float
    ) -> Dict[str, Any]:
        plan_, order = self.plan, self.order
        source = order.requirements_source or order.requirements_file
        record: Dict[str, Any] = {
            "schema": SCHEMA,
            "id": plan_.identity,
            "stage": {"gunicorn": order.gunicorn, "python": order.python},
            "python_executable": plan_.interpreter.executable,
            "python_version": plan_.interpreter.version,
            "gunicorn": order.gunicorn,
            "freeze": _venv.freeze(dists),
            "inputs": plan_.inputs,
            "inputs_sha256": inputs_sha256(plan_.inputs),
            "requirements_source": source or "carried over from " + order.carry_from,
            "installer": plan_.installer,
            "built_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now)),
            "built_by": order.built_by,
            "adopted": False,
            "checks": checks,
            "relaxed": self.relaxed,
            "dropped": list(plan_.carried.dropped) if plan_.carried else [],
        }
        if plan_.base is not None:
            record["carried_from"] = plan_.base.recorded
        return record


def checks_of(
    launch: Optional[Launch],
    old: Prefix,
    new: Prefix,
    wanted: _boot.Wanted,
    boot_path: str,
    boot_timeout: float,
    boot_wanted: bool,
    warn: Callable[[str], None],
) -> Dict[str, Any]:
    """Import, check-config, boot: of a release at its place, as the application's user."""
    aimed = retarget(launch, old, new) if launch else None
    checks: Dict[str, Any] = {"import": False, "check_config": None, "boot": None}
    _boot.check_import(aimed, wanted)
    checks["import"] = True
    if aimed is None:
        return checks
    refused = _boot.check_config(aimed)
    checks["check_config"] = not refused
    if not boot_wanted:
        if refused:
            raise FleetError("gunicorn --check-config refuses in the new release:\n" + refused)
        return checks
    checks["boot"] = _boot.boot(aimed, wanted, boot_path, boot_timeout)
    if refused:
        # It looks before it applies pythonpath and raw_env of the configuration file.
        warn(
            "gunicorn --check-config refuses, yet the application boots and answers; its "
            "configuration probably sets pythonpath or raw_env. It said: " + refused[-300:]
        )
    return checks


def build(
    plan_: Plan,
    launch: Optional[Launch],
    old: Prefix,
    boot_path: str,
    boot_timeout: float,
    boot_wanted: bool,
    now: Callable[[], float] = time.time,
) -> Tuple[Dict[str, Any], Dict[str, float], List[str], bool]:
    """Build what was planned: (record, timings, warnings, whether anything was built)."""
    os.umask(0o022)
    builder = Builder(plan_)
    releases = os.path.dirname(plan_.path)
    began = time.monotonic()
    if not os.path.isdir(releases):
        with suppress(FileExistsError):
            os.mkdir(releases, 0o755)
    with locked(releases):
        with builder.timed("clean"):
            clear_stale(releases)
        if os.path.lexists(plan_.path):
            # Another builder was quicker, or what is there is no good.
            why = why_not_believed(plan_.path)
            if not why:
                return read_record(plan_.path) or {}, builder.timings, [], False
            builder.warnings.append(put_aside(plan_.path, why))
        check_space(free_space(releases), plan_.order.min_free_mb, releases)
        name = build_name(plan_.identity, os.urandom(16).hex())
        place = os.path.join(releases, name)
        scratch = tempfile.mkdtemp(prefix=".build-scratch-", dir=releases)
        done = False
        try:
            record = _fill(
                builder, place, scratch, launch, old, boot_path, boot_timeout, boot_wanted, now
            )
            with builder.timed("name"):
                rename_inside(place, name, plan_.identity)
                left = names_inside(place, name)
                if left:
                    raise FleetError(
                        "these files still hold the temporary path: {}".format(", ".join(left[:5]))
                    )
                write_record(place, record)
                sync_tree(place)
                os.rename(place, plan_.path)
                sync_directory(releases)
                done = True
            _prove_named(plan_.path, plan_.order.gunicorn)
        finally:
            remove_tree(scratch)
            if not done:
                remove_tree(place)
    builder.timings["total_s"] = round(time.monotonic() - began, 3)
    return record, builder.timings, builder.warnings, True


def _fill(
    builder: Builder,
    place: str,
    scratch: str,
    launch: Optional[Launch],
    old: Prefix,
    boot_path: str,
    boot_timeout: float,
    boot_wanted: bool,
    now: Callable[[], float],
) -> Dict[str, Any]:
    plan_ = builder.plan
    with builder.timed("venv"):
        builder.make_venv(place)
    with builder.timed("install"):
        builder.install(place, scratch)
    with builder.timed("compile"):
        dists = builder.check_installed(place)
        builder.compile(place)
        set_modes(place)
    with builder.timed("checks"):
        wanted = _boot.Wanted(place, plan_.order.gunicorn, plan_.interpreter.version)
        new = Prefix((place,), plan_.interpreter.minor)
        checks = checks_of(
            launch, old, new, wanted, boot_path, boot_timeout, boot_wanted, builder.warnings.append
        )
    return builder.record(dists, checks, now())


def _prove_named(path: str, gunicorn: str) -> None:
    """The scripts run at the final place: the only thing that could not be tried before."""
    result = run([os.path.join(path, "bin", "gunicorn"), "--version"], dict(os.environ), "/", 60)
    if result.status != 0 or gunicorn not in result.output:
        put_aside(path, "its gunicorn does not run")
        raise FleetError(
            "the finished release's gunicorn does not run: {}".format(
                result.error or " ".join(result.output.split())[-300:]
            )
        )


def launch_of(
    like_pid: int, command: str, directory: str, user: str, environment: Dict[str, str]
) -> Optional[Launch]:
    """How the application is started, from its live arbiter or from its command."""
    fallback: Optional[Launch] = None
    if command:
        try:
            argv, variables = parse_command(command)
        except FleetError:
            if not like_pid:
                raise
        else:
            if user:
                who = user_named(user)
            else:
                who = User(os.geteuid(), os.getegid(), tuple(os.getgroups()))
            entry = pwd.getpwuid(who.uid)
            env = {"PATH": os.environ.get("PATH", os.defpath), "HOME": entry.pw_dir}
            env.update({"USER": entry.pw_name, "LOGNAME": entry.pw_name, "LANG": "C.UTF-8"})
            env.update(environment)
            env.update(variables)
            place = directory or "/"
            if not os.path.isdir(place):
                raise FleetError(f"directory {place} of the program does not exist")
            fallback = Launch(
                argv, env, place, who.uid, who.gid, who.groups, "the program's command"
            )
    if like_pid:
        return _boot.live_launch(like_pid, environment, fallback)
    return fallback


def old_prefix(home: str, launch: Optional[Launch]) -> Prefix:
    """The live venv under every name by which a command may call it."""
    venv = os.path.join(home, "venv")
    paths = [venv, os.path.realpath(venv), os.path.join(os.path.realpath(home), "venv")]
    for word in launch.argv[:4] if launch else ():
        top = os.path.dirname(os.path.dirname(word))
        if os.path.isabs(word) and os.path.isfile(os.path.join(top, "pyvenv.cfg")):
            paths += [top, os.path.realpath(top)]
    return Prefix(tuple(dict.fromkeys(paths)), _venv.minor(venv))


def check(
    path: str,
    home: str,
    launch: Optional[Launch],
    boot_path: str,
    boot_timeout: float,
    boot_wanted: bool,
) -> Dict[str, Any]:
    """Prove a release, or a virtualenv that is none yet, without changing it."""
    if not os.path.isdir(path):
        raise FleetError(f"{path} does not exist, so there is nothing to prove")
    record = read_record(os.path.realpath(path))
    if record is not None:
        why = why_not_believed(os.path.realpath(path))
        if why:
            raise FleetError(f"{path} cannot be trusted: {why}")
    dists = _venv.read_dists(path)
    gunicorn = next((d.version for d in dists if d.name == "gunicorn"), "")
    probed = probe_python(os.path.join(path, "bin", "python"))
    if not gunicorn or probed.interpreter is None:
        raise FleetError(
            "{} is no virtualenv with a gunicorn in it ({})".format(
                path, probed.why or "no gunicorn is installed"
            )
        )
    warnings: List[str] = []
    real = os.path.realpath(path)
    # A real directory is tried under the name that its scripts have inside.
    prefix = path.rstrip("/") if not os.path.islink(path) else real
    new = Prefix((prefix,), probed.interpreter.minor)
    wanted = _boot.Wanted(prefix, gunicorn, probed.interpreter.version)
    checks = checks_of(
        launch,
        old_prefix(home, launch),
        new,
        wanted,
        boot_path,
        boot_timeout,
        boot_wanted,
        warnings.append,
    )
    return {
        "id": record["id"] if record else None,
        "path": prefix,
        "gunicorn": gunicorn,
        "python": probed.interpreter.version,
        "packages": {d.name: d.version for d in dists},
        "checks": checks,
        "warnings": warnings,
    }


def build_wheelhouse(plan_: Plan, directory: str) -> bool:
    """Fill a directory with the wheels of a release; whether anything was done."""
    if plan_.carried is None and not plan_.first.text:
        return False
    if os.path.isdir(directory) and os.listdir(directory):
        return False
    if not plan_.interpreter.pip_wheel:
        raise FleetError(
            f"a wheelhouse is built with pip, and {plan_.interpreter.executable} brings none "
            "(ensurepip is missing; Debian and Ubuntu: apt install "
            f"python{plan_.interpreter.minor}-venv)"
        )
    os.umask(0o022)
    parent = os.path.dirname(directory.rstrip("/"))
    if not os.path.isdir(parent):
        raise FleetError(f"{parent} does not exist")
    builder = Builder(plan_._replace(installer="pip"))
    scratch = tempfile.mkdtemp(prefix=".wheelhouse-", dir=parent)
    try:
        venv, wheels = os.path.join(scratch, "venv"), os.path.join(scratch, "wheels")
        os.mkdir(wheels, 0o755)
        builder.make_venv(venv)
        python = os.path.join(venv, "bin", "python")
        env = dict(builder.environment(), TMPDIR=scratch)
        env = builder.provide_pip(python, scratch, env)
        for number, prepared in enumerate(p for p in (plan_.first, plan_.second) if p):
            text = os.path.join(scratch, f"requirements-{number}.txt")
            limits = ""
            if prepared.constraints:
                limits = os.path.join(scratch, f"constraints-{number}.txt")
                with open(limits, "w") as file:
                    file.write(prepared.constraints)
            with open(text, "w") as file:
                file.write(prepared.text)
            command = wheel_command(python, text, limits, prepared.hashed, wheels)
            result = run(command, env, scratch, INSTALL_TIMEOUT)
            if result.status == 0:
                break
        else:
            raise FleetError("the wheelhouse cannot be built: " + builder.explain(result).text)
        for wheel in glob.glob(os.path.join(glob.escape(scratch), "pip-*.whl")):
            shutil.copy(wheel, wheels)
        if os.path.isdir(directory):
            os.rmdir(directory)
        os.rename(wheels, directory)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return True
