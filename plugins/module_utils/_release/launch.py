# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From how gunicorn is started today to how another release of it is started for a test.

The test must resemble the real start as closely as it can (environment, directory, user,
arguments), and must not be it: its own address, one worker, its own log and pid file.
"""

import hashlib
import json
import os
import re
import shlex
from typing import Dict, List, Mapping, NamedTuple, Optional, Pattern, Sequence, Tuple

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.commands import TRIAL
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.inherited import Habits
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.requirements import (
    redact,
    version_tuple,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._redact import (
    HIDDEN,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._redact import (
    redact as redact_names,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._release.trial_config import (
    NAME,
    split_config,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._visible import visible

_SHELLS = ("sh", "bash", "dash", "ash", "zsh", "ksh")
_SHELL_WORDS = re.compile(r"[;&|<>$`(){}*?~\n]")

# What the test must not take over from the live command line: option -> (shortest
# spelling that argparse takes for it, whether it has a value).
_STRIPPED = {
    "--bind": ("--bi", True),
    "--workers": ("--workers", True),
    "--pid": ("--pi", True),
    "--daemon": ("--da", False),
    "--error-logfile": ("--er", True),
    "--log-file": ("--log-f", True),
    "--access-logfile": ("--access-logfi", True),
    "--log-syslog": ("--log-syslog", False),
    "--statsd-host": ("--statsd-h", True),
    "--no-control-socket": ("--no-control-socket", False),
    "--control-socket": ("--control-socket", True),
}
_STRIPPED_SHORT = {"-b": True, "-w": True, "-p": True, "-D": False}

# What their values name must be there.
_VITAL = ("--chdir", "--config", "-c")

# Belongs to the live process and would mislead another one.
_OWN = (
    "GUNICORN_FD",
    "GUNICORN_PID",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
    "NOTIFY_SOCKET",
)
_SECRET_NAME = re.compile(
    r"pass|secret|token|key|credential|dsn|auth|private|_url$|_uri$|^database", re.IGNORECASE
)
TAIL_CHARACTERS = 1 << 16


class Launch(NamedTuple):
    """How a gunicorn is started."""

    argv: Tuple[str, ...]
    environment: Dict[str, str]
    directory: str
    uid: int
    gid: int
    groups: Tuple[int, ...]
    # For messages: "the live arbiter (pid 12)", "the program's command".
    origin: str
    # Whether ``argv`` is what the service manager starts, to the letter. What the kernel shows of a
    # process begins with the interpreter of a script's first line, which another release replaces.
    literal: bool = False
    # The umask and the limits that it has from the service manager.
    habits: Habits = Habits()
    # With which headers a trial asks it.
    headers: Tuple[Tuple[str, str], ...] = ()
    # What of a unit of systemd holds for a trial of it; empty for a trial outside of one.
    sandbox: Tuple[str, ...] = ()


class Prefix(NamedTuple):
    """A virtualenv: every path by which it is known, and its "3.11"."""

    paths: Tuple[str, ...]
    minor: str


def arguments_at(argv: Sequence[str]) -> Optional[int]:
    """The index of gunicorn's first own argument, or None if gunicorn is not to be seen."""
    for index, word in enumerate(argv):
        if re.match(r"^gunicorn[0-9.]*$", os.path.basename(word)):
            return index + 1
        before = argv[index - 1] if index else ""
        if before == "-m" and re.match(r"^gunicorn(\.app\.wsgiapp)?$", word):
            return index + 1
        if word in ("-mgunicorn", "-mgunicorn.app.wsgiapp"):
            return index + 1
    return None


def parse_command(command: str) -> Tuple[Tuple[str, ...], Dict[str, str]]:
    """A service manager's command as (argv, variables it sets).

    A shell is looked through when all it does is ``exec`` one plain command.
    """
    try:
        argv = shlex.split(command)
    except ValueError as exc:
        raise FleetError(f"command {redact(command)!r} cannot be read: {exc}") from exc
    if not argv:
        raise FleetError("command is empty: nothing to boot-test with")
    if os.path.basename(argv[0]) in _SHELLS:
        inner = next(
            (argv[i + 1] for i, w in enumerate(argv[:-1]) if re.match(r"^-[a-z]*c$", w)), None
        )
        if inner is not None and not _SHELL_WORDS.search(inner):
            argv = shlex.split(inner)
    variables: Dict[str, str] = {}
    while argv and re.match(r"^[A-Za-z_]\w*=", argv[0]):
        name, dummy, value = argv.pop(0).partition("=")
        variables[name] = value
    if argv and argv[0] == "exec":
        argv.pop(0)
    if arguments_at(argv) is None:
        raise FleetError(
            f"command {redact(command)[:200]!r} does not show how it starts gunicorn (a script?), "
            "so it cannot be tried on another address. Start the program once, so that its live "
            "arbiter can be read, or set release_boot_test to none."
        )
    return tuple(argv), variables


def literal_start(command: Sequence[str], running: Sequence[str]) -> Optional[Tuple[str, ...]]:
    """What the service manager starts, to the letter: its words up to gunicorn, and the arguments
    that gunicorn has. Its command is told without the secrets in it, and would be tried so.

    None where one stands before gunicorn: nobody knows it then but what it was given to.
    """
    at = arguments_at(command)
    if at is None or any(HIDDEN in word for word in command[:at]):
        return None
    return (*command[:at], *running)


def strip_arguments(arguments: Sequence[str]) -> List[str]:
    """gunicorn's arguments without address, log, pid file, worker count and daemon."""
    kept: List[str] = []
    words = list(arguments)
    while words:
        word = words.pop(0)
        if word == "--":
            return kept + [word] + words
        if word.startswith("--"):
            name, equals, dummy = word.partition("=")
            hit = next(
                (
                    o
                    for o, (least, dummy) in _STRIPPED.items()
                    if o.startswith(name) and len(name) >= len(least)
                ),
                None,
            )
            if hit is None:
                kept.append(word)
            elif _STRIPPED[hit][1] and not equals and words:
                words.pop(0)
        elif word[:2] in _STRIPPED_SHORT:
            if not _STRIPPED_SHORT[word[:2]]:
                if len(word) > 2:
                    words.insert(0, "-" + word[2:])
            elif len(word) == 2 and words:
                words.pop(0)
        else:
            kept.append(word)
    return kept


def stale_words(launch: Launch, old: Prefix) -> List[str]:
    """What of a start names the old Python's directory inside of the virtualenv.

    The service manager goes on saying so after the switch, when a release on another Python is
    there: nothing is rewritten for it.
    """
    inside = _inside(old)
    environment = launch.environment
    if environment.get("NEW_RELIC_PYTHON_VERSION") == old.minor and "PYTHONPATH" in environment:
        # The next start notes that anew.
        rest = [each for each in environment["PYTHONPATH"].split(":") if "/newrelic/" not in each]
        environment = dict(environment, PYTHONPATH=":".join(rest))
    words = list(launch.argv) if launch.literal else list(launch.argv[1:])
    words += [f"{name}={value}" for name, value in sorted(environment.items())]
    return [word for word in words if inside.search(word)]


def vital_words(launch: Launch, old: Prefix) -> List[str]:
    """Those of them without which gunicorn cannot start: a program, its directory, its file."""
    inside, at = _inside(old), arguments_at(launch.argv)
    if at is None:
        return []
    found = []
    for index, word in enumerate(launch.argv):
        if index == 0 and not launch.literal:
            continue
        before = launch.argv[index - 1] if index else ""
        named = before in _VITAL or re.match(r"^(--chdir=|--config=|-c(?!$))", word)
        if (index < at or named) and inside.search(word):
            found.append(word)
    return found


def _inside(old: Prefix) -> "Pattern[str]":
    """A path in the old Python's directory of the virtualenv, or its interpreter."""
    return re.compile(
        r"(?:(?<![\w./-])|(?<=^-c))"
        r"(?:{})/(?:lib(?:64)?/python{minor}(?=$|[/:;,'\"\s])|bin/python{minor}$)".format(
            "|".join(map(re.escape, old.paths)), minor=re.escape(old.minor)
        )
    )


def _swap(text: str, old: Prefix, new: Prefix) -> str:
    """Replace the old virtualenv by the new one wherever a path names it, and nothing else.

    The real start goes through the same path, and finds there what the trial finds.
    """
    for path in sorted(set(old.paths), key=len, reverse=True):
        text = re.sub(
            rf"(?<![\w./-]){re.escape(path)}(?=$|[/:;,'\"\s])", lambda _: new.paths[0], text
        )
    return text


def retarget(launch: Launch, old: Prefix, new: Prefix) -> Launch:
    """The same start, with the new virtualenv in place of the old one."""
    at = arguments_at(launch.argv)
    argv: List[str] = []
    for index, word in enumerate(launch.argv):
        full = word
        if at is not None and index < at and "/" in word and not os.path.isabs(word):
            # "venv/bin/gunicorn", relative to the working directory.
            full = os.path.normpath(os.path.join(launch.directory, word))
        swapped = _swap(full, old, new)
        argv.append(word if swapped == full else swapped)
    python = re.compile(rf"^{re.escape(new.paths[0])}/bin/python[0-9.]*$")
    if not launch.literal:
        argv = [new.paths[0] + "/bin/python" if python.match(word) else word for word in argv]
    script = new.paths[0] + "/bin/gunicorn"
    if script in argv and not argv[max(argv.index(script) - 1, 0)].endswith("/bin/python"):
        # The first line of an adopted release's scripts names the live link, not the release.
        argv.insert(argv.index(script), new.paths[0] + "/bin/python")
    environment = {
        name: _swap(value, old, new)
        for name, value in launch.environment.items()
        if name not in _OWN
    }
    # newrelic-admin, which the next start runs again, has noted its Python for the agent.
    if environment.get("NEW_RELIC_PYTHON_VERSION") == old.minor:
        environment["NEW_RELIC_PYTHON_VERSION"] = new.minor
        noted = new.paths[0] + "/lib/python{}/site-packages/newrelic/bootstrap"
        environment["PYTHONPATH"] = environment.get("PYTHONPATH", "").replace(
            noted.format(old.minor), noted.format(new.minor)
        )
    return launch._replace(argv=tuple(argv), environment=environment)


def start_sha256(launch: Launch, prefix: str, added: Sequence[str], path: str) -> str:
    """One hash of how a release (at ``prefix``) was started and asked (``path``).

    Of the environment only the names, ``added`` ones apart: a hash of values would let who reads it
    try what they are.
    """
    told = {
        "argv": [word.replace(prefix, "{release}") for word in launch.argv],
        "directory": launch.directory,
        "user": [launch.uid, launch.gid, sorted(launch.groups)],
        "variables": sorted(launch.environment),
        "added": list(added),
        "path": path,
    }
    if launch.sandbox:
        told["sandbox"] = list(launch.sandbox)
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode("utf-8")).hexdigest()


def _split(launch: Launch) -> Tuple[List[str], List[str]]:
    at = arguments_at(launch.argv)
    if at is None:
        raise FleetError(
            "{} does not show gunicorn's arguments: {}".format(
                launch.origin, redact(" ".join(launch.argv))[:200]
            )
        )
    return list(launch.argv[:at]), strip_arguments(launch.argv[at:])


def _stripped_environment(environment: Mapping[str, str]) -> Dict[str, str]:
    """GUNICORN_CMD_ARGS says the same things as the command line: strip it alike."""
    env = dict(environment)
    if env.get("GUNICORN_CMD_ARGS"):
        words = split_config(strip_arguments(shlex.split(env["GUNICORN_CMD_ARGS"])))[1]
        env["GUNICORN_CMD_ARGS"] = " ".join(shlex.quote(word) for word in words)
    return env


def config_location(launch: Launch) -> str:
    """The configuration file that the start names; empty if it names none."""
    told = split_config(_split(launch)[1])[0]
    if told is None:
        told = split_config(shlex.split(launch.environment.get("GUNICORN_CMD_ARGS", "")))[0]
    return told or ""


def gunicorn_arguments(launch: Launch) -> List[str]:
    """What gunicorn itself is told, without what the test replaces."""
    return _split(launch)[1]


def marked_as_trial(environment: Mapping[str, str], token: str) -> Dict[str, str]:
    """The environment of a trial: its left-overs are found by it, and nobody takes it for one.

    setproctitle, where installed, would wipe it.
    """
    return dict(environment, SPT_NOENV="1", **{TRIAL: token})


def boot_launch(launch: Launch, bind: str, scratch: str, gunicorn: str, token: str) -> Launch:
    """The start for the boot test.

    The command line wins over the configuration file and over the environment, so what
    is given here holds whatever they say.
    """
    head, arguments = _split(launch)
    arguments = split_config(arguments)[1]
    ours = ["--config", os.path.join(scratch, NAME)]
    ours += ["--bind", bind, "--workers", "1", "--pid", os.path.join(scratch, "gunicorn.pid")]
    ours += ["--error-logfile", "-", "--access-logfile", "-"]
    if version_tuple(gunicorn) >= (25, 1):
        # Its path comes from HOME: the live gunicorn's own.
        ours.append("--no-control-socket")
    environment = marked_as_trial(_stripped_environment(launch.environment), token)
    for name in ("PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir"):
        if environment.get(name):
            environment[name] = scratch
    return launch._replace(argv=tuple(head + ours + arguments), environment=environment)


def check_launch(launch: Launch, scratch: str, token: str) -> Launch:
    """``gunicorn --check-config`` with what it would otherwise apply too late."""
    head, arguments = _split(launch)
    arguments = split_config(arguments)[1]
    ours = ["--check-config", "--config", os.path.join(scratch, NAME)]
    environment = _stripped_environment(launch.environment)
    for index, word in enumerate(arguments):
        following = arguments[index + 1] if index + 1 < len(arguments) else ""
        name, equals, value = word.partition("=")
        if word in ("--pythonpath", "-e", "--env") or (
            equals and name in ("--pythonpath", "--env")
        ):
            given = value if name.startswith("--") and equals and word != "-e" else following
            if name == "--pythonpath":
                paths = given.replace(",", os.pathsep)
                known = environment.get("PYTHONPATH", "")
                environment["PYTHONPATH"] = paths + (os.pathsep + known if known else "")
            elif "=" in given:
                variable, dummy, setting = given.partition("=")
                environment[variable] = setting
    return launch._replace(
        argv=tuple(head + ours + arguments),
        environment=marked_as_trial(environment, token),
    )


def secrets_of(environment: Mapping[str, str]) -> List[str]:
    """The values that must not be shown, the longest first; a path or a switch is none."""
    return sorted(
        {
            value
            for name, value in environment.items()
            if len(value) >= 6 and _SECRET_NAME.search(name) and not value.startswith("/")
        },
        key=len,
        reverse=True,
    )


def log_tail(text: str, environment: Mapping[str, str], lines: int = 15) -> str:
    """The end of a log, bounded and without the secrets of the environment."""
    for secret in secrets_of(environment):
        text = text.replace(secret, "***")
    # What is far from the end is not shown.
    text = visible(text[-TAIL_CHARACTERS:])
    kept = [line[:400] for line in redact_names(redact(text)).split("\n") if line.strip()]
    return "\n".join(kept[-lines:])
