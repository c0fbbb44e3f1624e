# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Build a release: in a temporary place, checked there, then named by one rename."""

import calendar
import errno
import os
import pwd
import re
import shutil
import tempfile
import time
from contextlib import contextmanager
from typing import (
    AbstractSet,
    Any,
    Callable,
    Dict,
    Iterator,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Tuple,
)

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.commands import (
    Result,
    User,
    marked,
    run,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.trust import as_whom
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages import carried_pins
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages import venv as venvs
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.find_python import (
    find_python,
    probe_python,
    user_named,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.interpreters import (
    not_found,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.requirements import (
    canonical,
    same_version,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.site_files import (
    content_sha256,
    copy_entry,
    told,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._release import (
    boot_test,
    compiled_modules,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._release.build_plan import (
    Plan,
    local_sha256,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._release.carried_proof import (
    packages_of,
    prove_carried,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._release.install import (
    Installation,
    install_again,
    make_venv,
    sources_of,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._release.launch import (
    Launch,
    Prefix,
    parse_command,
    retarget,
    stale_words,
    start_sha256,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._release.record import (
    SCHEMA,
    SCRATCH,
    build_name,
    check_space,
    inputs_sha256,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._release.store import (
    clear_stale,
    free_space,
    locked,
    make_releases,
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
from ansible_collections.fleetops.gunicorn.plugins.module_utils._service.managers import sandbox_of

INSTALL_TIMEOUT = 1800.0
STAMP = "%Y-%m-%dT%H:%M:%SZ"


@contextmanager
def os_errors(doing: str) -> Iterator[None]:
    """What the operating system refuses is an operator's matter, not a traceback's."""
    try:
        yield
    except OSError as exc:
        if exc.errno == errno.ENOSPC:
            raise FleetError(f"the disk filled up during {doing}") from exc
        raise FleetError(
            f"{doing} failed: {exc.strerror or exc}"
            + (f" ({exc.filename})" if exc.filename else "")
        ) from exc


def _packages_by_module(venv: str, trusted: AbstractSet[str]) -> Dict[str, str]:
    """Module to import -> "package version", of what has compiled modules."""
    found: Dict[str, str] = {}
    for _site, owner in packages_of(venv).values():
        for name in compiled_modules.modules_of(owner) if owner.name not in trusted else ():
            found.setdefault(name, f"{owner.name} {owner.version}")
    return found


class Builder:
    """The steps of one build, and how long each took."""

    def __init__(self, plan_: Plan) -> None:
        self.plan = plan_
        self.order = plan_.order
        self.timings: Dict[str, float] = {}
        self.warnings: List[str] = []

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        finally:
            self.timings[name + "_s"] = round(time.monotonic() - began, 3)

    def compile(self, path: str) -> None:
        """Byte-compile now: later the first import would do it, inside the outage.

        A file that this Python cannot parse (a template, a tool for a newer one) is no fault.
        """
        sites = venvs.site_packages(path)
        env = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        command = [os.path.join(path, "bin", "python"), "-m", "compileall", "-q", "-j", "0"]
        run(command + sites, env, "/", INSTALL_TIMEOUT)

    def prove_carried(self, place: str, scratch: str) -> Dict[str, str]:
        """What was carried over by its name is what runs; see `_carried_proof`."""
        source = self.plan.order.carry_from

        def fetch(pins: Mapping[str, str]) -> Tuple[str, Dict[str, str]]:
            python = os.path.join(source, "bin", "python")
            found = find_python(python, [], self.order.user, self.plan.uv)
            if found.interpreter is None:
                return "", dict.fromkeys(pins, not_found(python, found))
            return install_again(self.plan, pins, found.interpreter, scratch)

        return prove_carried(self.plan, place, fetch, sources_of(self.order.source))

    def import_compiled(self, place: str, launch: Optional[Launch]) -> int:
        """Import what has compiled modules, as the application's user; how many could be."""
        trusted = {canonical(name) for name in self.order.trust}
        mine = _packages_by_module(place, trusted)
        names = sorted(mine)[: compiled_modules.MAX_MODULES]
        if not names:
            return 0
        env = dict(launch.environment if launch else boot_test.PLAIN)
        env = {k: v for k, v in env.items() if not k.startswith("PYTHON")}
        # Nothing is to be written for a trial, nor read of what somebody configured for himself.
        # Below this not even root can make a directory.
        env.update(HOME=os.devnull, XDG_CACHE_HOME=os.devnull, XDG_CONFIG_HOME=os.devnull)

        def run_as_user(python: str, arguments: List[str], timeout: float) -> Result:
            venv = os.path.dirname(os.path.dirname(python))
            user = (
                boot_test.user_of(launch) if launch else as_whom(python, *venvs.site_packages(venv))
            )
            return run([python, *arguments], env, "/", timeout, user)

        python = os.path.join(place, "bin", "python")
        failed = compiled_modules.try_imports(run_as_user, python, names, time.monotonic)
        if not failed:
            return len(names)
        live: Dict[str, Optional[bool]] = dict.fromkeys(failed)
        source = self.order.carry_from
        if source and os.path.isdir(source):
            there = [name for name in failed if name in _packages_by_module(source, set())]
            python = os.path.join(source, "bin", "python")
            bad = compiled_modules.try_imports(run_as_user, python, there, time.monotonic)
            live.update({name: name not in bad for name in there})
        faults, looks = compiled_modules.judge(failed, live)
        if faults:
            raise FleetError(compiled_modules.refusal(faults, mine, self.plan.interpreter.version))
        if looks:
            self.warnings.append(
                "These could not be imported in the new release, and whether they should be is "
                "not known: {}.".format(
                    "; ".join(f"{n} ({' '.join(looks[n].split())})" for n in sorted(looks)[:6])
                )
            )
        return len(names) - len(failed)

    def check_installed(self, path: str) -> List[carried_pins.Dist]:
        dists = venvs.read_dists(path)
        got = next((d.version for d in dists if d.name == "gunicorn"), "none")
        if not same_version(got, self.order.gunicorn):
            raise FleetError(
                "gunicorn {} was to be installed and {} was; {}".format(
                    self.order.gunicorn, got, "a package of the requirements insists on it"
                )
            )
        return dists

    def record(
        self,
        dists: List[carried_pins.Dist],
        relaxed: Dict[str, str],
        checks: Dict[str, Any],
        now: float,
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
            "freeze": venvs.freeze(dists),
            "inputs": plan_.inputs,
            "inputs_sha256": inputs_sha256(plan_.inputs),
            "requirements_source": source or "carried over from " + order.carry_from,
            "installer": plan_.installer,
            "built_at": time.strftime(STAMP, time.gmtime(now)),
            "built_by": order.built_by,
            "adopted": False,
            "checks": checks,
            "relaxed": relaxed,
            "dropped": list(plan_.carried.dropped) if plan_.carried else [],
        }
        if plan_.base is not None:
            record["carried_from"] = plan_.base.recorded
        return record


class Trial(NamedTuple):
    """How a release is tried."""

    # "boot", "import" or "none"; see _release.record.trial_of.
    test: str
    path: str
    timeout: float
    # On top of the application's own.
    environment: Mapping[str, str] = {}
    # For how many seconds a boot that is on record is as good as a new one.
    believe: float = 0


def checks_of(
    launch: Optional[Launch],
    old: Prefix,
    new: Prefix,
    wanted: boot_test.Wanted,
    trial: Trial,
    booted: Optional[Mapping[str, Any]] = None,
) -> Dict[str, Any]:
    """Import, then check-config or boot: of a release at its place, as the application's user.

    What boots has passed check-config, which imports the application once more. ``booted`` is what
    is on record of a boot that is still believed, if it was started in the same way.
    """
    aimed = retarget(launch, old, new) if launch else None
    if aimed:
        aimed = aimed._replace(environment=dict(aimed.environment, **trial.environment))
    if launch and old.minor != new.minor:
        wanted = wanted._replace(stale=tuple(stale_words(launch, old)))
    checks: Dict[str, Any] = {"import": False, "check_config": None, "boot": None}
    boot_test.check_import(aimed if trial.test != "none" else None, wanted)
    checks["import"] = True
    if aimed is None or trial.test == "none":
        return checks
    if trial.test == "import":
        refused = boot_test.check_config(aimed)
        checks["check_config"] = not refused
        if refused:
            raise FleetError("gunicorn --check-config refuses in the new release:\n" + refused)
        return checks
    start = start_sha256(aimed, new.paths[0], sorted(trial.environment), trial.path)
    if booted and booted.get("start") == start:
        checks["boot"] = dict(booted)
    else:
        seen = boot_test.boot(aimed, wanted, trial.path, trial.timeout)
        checks["boot"] = dict(seen, start=start)
    return checks


def still_booted(
    record: Optional[Mapping[str, Any]], believe: float, now: float
) -> Optional[Mapping[str, Any]]:
    """What is on record of a boot, unless that is too long ago: the application's code moves on."""
    boot = ((record or {}).get("checks") or {}).get("boot")
    try:
        built = calendar.timegm(time.strptime(str((record or {}).get("built_at")), STAMP))
    except ValueError:
        return None
    return boot if isinstance(boot, dict) and 0 <= now - built <= believe else None


def require_space(plan_: Plan) -> None:
    """Refuse to begin what would fill the disk."""
    releases = os.path.dirname(plan_.path)
    place = releases if os.path.isdir(releases) else os.path.dirname(releases)
    check_space(free_space(place), plan_.order.min_free_mb, place)


def build(
    plan_: Plan,
    launch: Optional[Launch],
    old: Prefix,
    trial: Trial,
    now: Callable[[], float] = time.time,
) -> Tuple[Dict[str, Any], Dict[str, float], List[str], bool]:
    """Build what was planned: (record, timings, warnings, whether anything was built)."""
    os.umask(0o022)
    builder = Builder(plan_)
    releases = os.path.dirname(plan_.path)
    began = time.monotonic()
    with os_errors("the build"), locked(make_releases(releases)):
        with builder.timed("clean"):
            clear_stale(releases)
        if os.path.lexists(plan_.path):
            # Another builder was quicker, or what is there is no good.
            why = why_not_believed(plan_.path)
            if not why:
                return read_record(plan_.path) or {}, builder.timings, [], False
            builder.warnings.append(put_aside(plan_.path, why))
        name = build_name(plan_.identity, os.urandom(16).hex())
        place = os.path.join(releases, name)
        done = False
        try:
            with marked(place):
                record = _fill(builder, place, launch, old, trial, now)
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
            _prove_named(plan_.path, plan_.order.gunicorn, launch)
        finally:
            if not done:
                remove_tree(place)
    builder.timings["total_s"] = round(time.monotonic() - began, 3)
    return record, builder.timings, builder.warnings, True


def _fill(
    builder: Builder,
    place: str,
    launch: Optional[Launch],
    old: Prefix,
    trial: Trial,
    now: Callable[[], float],
) -> Dict[str, Any]:
    plan_ = builder.plan
    with builder.timed("venv"):
        make_venv(plan_, place)
    with builder.timed("install"):
        # Not inside of the place: what is compiled there keeps its path in debug information.
        scratch = tempfile.mkdtemp(prefix=SCRATCH, dir=os.path.dirname(place))
        try:
            installation = Installation(plan_, place, scratch)
            installation.install()
            proved = builder.prove_carried(place, scratch)
        finally:
            remove_tree(scratch)
        refuse_changed_sources(plan_)
        carry_files(plan_, place)
        relaxed = installation.relaxed
        if relaxed:
            builder.warnings.append(
                "Not every pin carried over suits Python {}; these moved: {}.".format(
                    plan_.interpreter.version,
                    ", ".join("{} {}".format(*i) for i in sorted(relaxed.items())),
                )
            )
    with builder.timed("compile"):
        venvs.strip_credentials(place)
        dists = builder.check_installed(place)
        builder.compile(place)
        set_modes(place)
    with builder.timed("imports"):
        compiled = builder.import_compiled(place, launch)
    with builder.timed("checks"):
        wanted = boot_test.Wanted(place, plan_.order.gunicorn, plan_.interpreter.version)
        new = Prefix((place,), plan_.interpreter.minor)
        try:
            checks = checks_of(launch, old, new, wanted, trial)
        except FleetError as exc:
            raise FleetError(str(exc) + hint_of(str(exc), plan_)) from exc
        checks["compiled"] = compiled
    record = builder.record(dists, relaxed, checks, now())
    if proved:
        record["proved"] = proved
    return record


# What is missing -> what is to be done about it.
_NO_PKG_RESOURCES = re.compile(r"No module named '?(pkg_resources|setuptools|distutils)\b")
_NO_MODULE = re.compile(r"No module named '?([\w.]+)")


def hint_of(why: str, plan_: Plan) -> str:
    """What helps where a module is missing in the new release; empty if nothing is known."""
    if _NO_PKG_RESOURCES.search(why) and "setuptools<81" not in plan_.prepared.text.splitlines():
        source = plan_.order.requirements_source or plan_.order.requirements_file
        return (
            "\nA release holds no setuptools unless something asks for it, and from setuptools 81 "
            "on it has no pkg_resources: add a line `setuptools<81` to "
            + (f"the requirements ({source})." if source else "the requirements.")
        )
    missing = _NO_MODULE.search(why)
    if missing and plan_.left:
        return (
            f"\nrelease_leave_files left behind what no package owns: {told(plan_.left)}. If "
            f"{missing.group(1)} came from there, name it in release_carry_files instead."
        )
    return ""


def refuse_changed_sources(plan_: Plan) -> None:
    """What the requirements name on this host must be now what the release's name says of it."""
    if plan_.local and local_sha256(plan_.local) != plan_.inputs.get("local"):
        raise FleetError(
            "{} changed while the release was being built from it. Run the same again when "
            "nobody works there.".format(", ".join(plan_.local))
        )


def carry_files(plan_: Plan, place: str) -> None:
    """Take over what no package owns and the operator named."""
    if not plan_.files:
        return
    target = venvs.site_packages(place)[0]
    for site, entry in plan_.files:
        if os.path.lexists(os.path.join(target, entry.path)):
            raise FleetError(
                f"release_carry_files: {entry.path} is in the new release already, as a part of "
                "a package. Name what is to be carried over more exactly."
            )
        copy_entry(site, entry.path, target)
        if content_sha256(os.path.join(target, entry.path)) != plan_.inputs["files"][entry.path]:
            raise FleetError(
                f"release_carry_files: {site}/{entry.path} changed while it was carried over. Run "
                "the same again."
            )


def _prove_named(path: str, gunicorn: str, launch: Optional[Launch]) -> None:
    """The scripts run at the final place: the only thing that could not be tried before."""
    user = boot_test.user_of(launch) if launch else None
    command = [os.path.join(path, "bin", "gunicorn"), "--version"]
    with marked(path):
        result = run(command, boot_test.PLAIN, "/", 60, user)
    said = re.search(r"version ([^\s)]+)", result.output)
    if result.status != 0 or not said or not same_version(said.group(1), gunicorn):
        put_aside(path, "its gunicorn does not run")
        raise FleetError(
            "the finished release's gunicorn does not run: {}".format(
                result.error or " ".join(result.output.split())[-300:]
            )
        )


def launch_of(
    like_pid: int,
    command: str,
    directory: str,
    user: str,
    environment: Dict[str, str],
    unit: str = "",
) -> Optional[Launch]:
    """How the application is started, from its live arbiter or from its command.

    ``unit`` is the unit of the system's systemd that starts it; empty if none does.
    """
    launch = _launch_of(like_pid, command, directory, user, environment)
    if launch is None or not unit or os.geteuid() != 0:
        return launch
    box = sandbox_of(unit)
    variables = dict(launch.environment)
    variables.update(box.environment)
    for name in box.unset:
        variables.pop(name, None)
    variables.update(environment)
    return launch._replace(environment=variables, sandbox=box.properties)


def _launch_of(
    like_pid: int, command: str, directory: str, user: str, environment: Dict[str, str]
) -> Optional[Launch]:
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
        return boot_test.live_launch(like_pid, environment, fallback, directory, command)
    return fallback


def old_prefix(home: str, launch: Optional[Launch]) -> Prefix:
    """The live venv under every name by which a command may call it."""
    venv = os.path.join(home, "venv")
    paths = [venv, os.path.realpath(venv), os.path.join(os.path.realpath(home), "venv")]
    releases = os.path.join(os.path.realpath(home), "releases")
    for word in launch.argv[:4] if launch else ():
        # What runs may be another release than the one that the link names by now. A path deep in
        # a virtualenv (--chdir <venv>/lib/python3.11/site-packages/app) names none.
        top = os.path.dirname(os.path.dirname(word))
        if os.path.dirname(os.path.realpath(top)) == releases:
            paths += [top, os.path.realpath(top)]
    return Prefix(tuple(dict.fromkeys(paths)), venvs.minor(venv))


def check(
    path: str,
    home: str,
    launch: Optional[Launch],
    trial: Trial,
    now: Callable[[], float] = time.time,
) -> Dict[str, Any]:
    """Prove a release, or a virtualenv that is none yet, without changing it."""
    if not os.path.isdir(path):
        raise FleetError(f"{path} does not exist, so there is nothing to prove")
    real = os.path.realpath(path)
    # What stands at venv itself is no release yet: a switch that was killed before it adopted it
    # has noted there what it was to become.
    adopted = real != os.path.join(os.path.realpath(home), "venv")
    record = read_record(real) if adopted else None
    if record is not None:
        why = why_not_believed(real)
        if why:
            raise FleetError(f"{path} cannot be trusted: {why}")
    dists = venvs.read_dists(path)
    gunicorn = next((d.version for d in dists if d.name == "gunicorn"), "")
    user = User(launch.uid, launch.gid, launch.groups) if launch else None
    probed = probe_python(os.path.join(path, "bin", "python"), user)
    if not gunicorn or probed.interpreter is None:
        raise FleetError(
            "{} is no virtualenv with a gunicorn in it ({})".format(
                path, probed.why or "no gunicorn is installed"
            )
        )
    # A real directory is tried under the name that its scripts have inside.
    prefix = path.rstrip("/") if not os.path.islink(path) else real
    new = Prefix((prefix,), probed.interpreter.minor)
    wanted = boot_test.Wanted(prefix, gunicorn, probed.interpreter.version)
    checks = checks_of(
        launch,
        old_prefix(home, launch),
        new,
        wanted,
        trial,
        still_booted(record, trial.believe, now()),
    )
    return {
        "id": record["id"] if record else None,
        "path": prefix,
        "gunicorn": gunicorn,
        "python": probed.interpreter.version,
        "packages": {d.name: d.version for d in dists},
        "checks": checks,
    }


def build_wheelhouse(plan_: Plan, directory: str) -> bool:
    """Fill a directory with the wheels of a release; whether anything was done."""
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
    scratch = tempfile.mkdtemp(prefix=".wheelhouse-", dir=parent)
    try:
        with os_errors("building the wheelhouse"):
            venv, wheels = os.path.join(scratch, "venv"), os.path.join(scratch, "wheels")
            os.mkdir(wheels, 0o755)
            make_venv(plan_, venv)
            Installation(plan_._replace(installer="pip"), venv, scratch).wheels(wheels)
            if os.path.isdir(directory):
                os.rmdir(directory)
            os.rename(wheels, directory)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return True
