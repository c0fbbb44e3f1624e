# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a supervised gunicorn really is, and what is proven about it. Reads, never changes."""

import configparser
import hashlib
import json
import os
import pwd
import re
import shlex
import signal
import time
from typing import Any, Callable, Dict, Iterable, List, NamedTuple, Optional, Tuple

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._processes import (
    Listener,
    Process,
    Reader,
    descendants,
    gunicorn_arguments,
    invocation,
    is_master_title,
    read_environ,
    read_inodes,
    read_listeners,
    read_mapped,
    read_table,
    read_uid,
    redact,
    same_place,
    shown,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._supervisor import Supervisor

GRACEFUL_TIMEOUT = 30
# A gunicorn whose port is taken needs 5.1 to 5.2 s to give up.
STARTSECS = 7
# Between the clock of the file system (4 to 10 ms) and the one of the scheduler.
CLOCK_SLACK = 0.05
RUNNING_STATES = ("STARTING", "RUNNING", "BACKOFF")
STOPPED_STATES = ("STOPPED", "EXITED", "FATAL")

Run = Callable[[List[str]], Optional[str]]


class Venv(NamedTuple):
    """What stands at ``<home>/venv``."""

    path: str
    kind: str
    target: Optional[str]
    release: Optional[str]
    python: Optional[str]
    gunicorn: Optional[str]
    changed: Optional[float]
    # The release that was active before this one first was; None if it is gone or was never noted.
    previous: Optional[str] = None


class Arbiter(NamedTuple):
    """The master process of one generation."""

    pid: int
    started: float
    start_ticks: int
    boot_id: str
    uid: Optional[int]
    user: Optional[str]
    cwd: Optional[str]
    python: Optional[str]
    python_executable: Optional[str]
    gunicorn: Optional[str]
    prefix: Optional[str]
    release: Optional[str]
    workers_wanted: Optional[int]
    cmdline: List[str]


class Stray(NamedTuple):
    """A gunicorn process of this home that no arbiter under the program accounts for."""

    process: Process
    addresses: List[str]
    program: Optional[str]


class Observation(NamedTuple):
    """One look at the program and everything that runs from its home."""

    program: Dict[str, Any]
    arbiter: Optional[Arbiter]
    workers: List[Process]
    # Everything under the program's pid, wrappers included.
    tree: List[Process]
    listeners: List[Listener]
    # Those of everybody else, too.
    listening: List[Listener]
    orphans: List[Stray]
    unmanaged: List[Stray]
    venv: Venv
    options: Dict[str, Any]
    environ: Dict[str, str]


# --- pure -----------------------------------------------------------------------------------------


def choose_program(processes: List[Dict[str, Any]], wanted: str) -> Dict[str, Any]:
    """Find "name" or "group:name" among supervisord's processes."""
    known = ["{group}:{name}".format(**each) for each in processes]
    plain = [k.split(":")[1] if k.split(":")[0] == k.split(":")[1] else k for k in known]
    if ":" in wanted:
        found = [each for each, name in zip(processes, known) if name == wanted]
    else:
        found = [each for each in processes if each["name"] == wanted]
        found = found or [each for each in processes if each["group"] == wanted]
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join("{group}:{name}".format(**each) for each in found)
        raise FleetError(
            f"Program {wanted!r} is several processes of supervisord: {names}."
            " Name one of them as group:name."
        )
    raise FleetError(
        f"supervisord has no program {wanted!r}. It has: {', '.join(sorted(plain)) or 'none'}."
        " Correct the name, or add the program to its configuration and run"
        " `supervisorctl update` yourself."
    )


def parse_supervisor_config(texts: Iterable[str], group: str, name: str) -> Dict[str, str]:
    """The ``[program:x]`` section out of supervisord's files; {} if it is not there."""
    parser = configparser.RawConfigParser(inline_comment_prefixes=(";", "#"), strict=False)
    for text in texts:
        try:
            parser.read_string(text)
        except configparser.Error:
            continue
    for section in (f"program:{name}", f"program:{group}"):
        if parser.has_section(section):
            return dict(parser.items(section))
    return {}


def _flag(text: Optional[str]) -> Optional[bool]:
    return None if text is None else text.strip().lower() in ("1", "true", "yes", "on", "t", "y")


def _number(value: Any) -> Optional[int]:
    try:
        return int(value)
    except (TypeError, ValueError):
        return None


def _signal_name(value: Any) -> Optional[str]:
    if value is None:
        return None
    try:
        return signal.Signals(int(value)).name[len("SIG") :]
    except ValueError:
        return str(value).upper().replace("SIG", "", 1)


def describe_program(
    info: Dict[str, Any], config: Dict[str, Any], section: Dict[str, str], user: Optional[str]
) -> Dict[str, Any]:
    """Merge what supervisord tells (state, most settings) with its file (the rest).

    XML-RPC tells neither stopasgroup nor, before 4.0, any setting at all. Without the file
    those stay None: unknown, not the default.
    """

    def setting(name: str, default: Optional[str] = None) -> Any:
        value = config.get(name, section.get(name, default if section else None))
        return None if value in ("none", "auto") else value

    def flag(name: str) -> Optional[bool]:
        if name in config:
            return bool(config[name])
        return _flag(section.get(name, "false" if section else None))

    stopasgroup = flag("stopasgroup")
    killasgroup = flag("killasgroup")
    if "killasgroup" not in config and "killasgroup" not in section:
        killasgroup = stopasgroup
    return {
        "name": str(info["name"]),
        "group": str(info["group"]),
        "state": str(info["statename"]),
        "pid": int(info["pid"]),
        "exitstatus": int(info.get("exitstatus") or 0),
        "spawnerr": str(info.get("spawnerr") or ""),
        "command": setting("command"),
        "directory": setting("directory"),
        "user": user,
        "stopsignal": _signal_name(setting("stopsignal", "TERM")),
        "stopwaitsecs": _number(setting("stopwaitsecs", "10")),
        "stopasgroup": stopasgroup,
        "killasgroup": killasgroup,
        "startsecs": _number(setting("startsecs", "1")),
        "stdout_logfile": str(info.get("stdout_logfile") or "") or None,
        "stderr_logfile": str(info.get("stderr_logfile") or "") or None,
        "redirect_stderr": flag("redirect_stderr"),
    }


def namespec(program: Dict[str, Any]) -> str:
    return "{group}:{name}".format(**program)


def split_words(text: Optional[str]) -> List[str]:
    try:
        return shlex.split(text or "")
    except ValueError:
        return (text or "").split()


_OPTIONS = {
    "workers": ("-w", "--workers"),
    "graceful_timeout": ("", "--graceful-timeout"),
    "config": ("-c", "--config"),
    "errorlog": ("", "--error-logfile"),
    "logfile": ("", "--log-file"),
}


def parse_options(arguments: Iterable[str]) -> Dict[str, str]:
    """The few settings that matter here, out of gunicorn's command line."""
    words = list(arguments)
    found: Dict[str, str] = {}
    for index, word in enumerate(words):
        following = words[index + 1] if index + 1 < len(words) else ""
        for name, (short, long) in _OPTIONS.items():
            if word == long or (short and word == short):
                found[name] = following
            elif word.startswith(long + "="):
                found[name] = word[len(long) + 1 :]
            elif short and word.startswith(short) and not word.startswith("--"):
                found[name] = word[len(short) :]
    return found


def gunicorn_options(
    cmdline: Iterable[str], environ: Dict[str, str], command: Optional[str]
) -> Dict[str, str]:
    """GUNICORN_CMD_ARGS, overruled by the command line (supervisord's, if that was rewritten)."""
    found = parse_options(split_words(environ.get("GUNICORN_CMD_ARGS")))
    arguments = gunicorn_arguments(cmdline) or tuple(split_words(command))
    found.update(parse_options(arguments))
    return found


def deviations(
    program: Dict[str, Any],
    options: Dict[str, str],
    wrapped: bool = False,
    sharing: Iterable[str] = (),
) -> List[Dict[str, str]]:
    """Settings that make a switch slower or less safe, each with its reason."""
    graceful = _number(options.get("graceful_timeout")) or GRACEFUL_TIMEOUT
    found: List[Dict[str, str]] = []

    def add(setting: str, value: Any, wanted: str, why: str) -> None:
        shown_value = str(value).lower() if isinstance(value, bool) else str(value)
        found.append({"setting": setting, "value": shown_value, "wanted": wanted, "why": why})

    if program["stopsignal"] not in (None, "TERM"):
        why = (
            "HUP restarts the workers instead of stopping, so that supervisord kills the arbiter"
            " and orphans keep the port"
            if program["stopsignal"] == "HUP"
            else "gunicorn answers requests in flight with status 500 on QUIT and INT"
        )
        add("stopsignal", program["stopsignal"], "TERM", why)
    if program["stopasgroup"]:
        add(
            "stopasgroup",
            True,
            "false",
            "workers get TERM twice, which writes 'was sent SIGTERM!' and can set off the"
            " reentrant-call error while stopping",
        )
    if program["killasgroup"] is False:
        add(
            "killasgroup",
            False,
            "true",
            "when supervisord has to kill the arbiter, its workers live on and keep the port",
        )
    stopwaitsecs = program["stopwaitsecs"]
    if stopwaitsecs is not None and stopwaitsecs <= graceful:
        add(
            "stopwaitsecs",
            stopwaitsecs,
            str(graceful + 5),
            f"supervisord kills the arbiter before gunicorn's graceful timeout ({graceful} s)"
            " is over: requests in flight are lost or orphans keep the port",
        )
    if program["startsecs"] is not None and program["startsecs"] < STARTSECS:
        add(
            "startsecs",
            program["startsecs"],
            str(STARTSECS),
            "a gunicorn whose port is taken lives for 5.2 s, and supervisord calls that RUNNING",
        )
    if wrapped:
        add(
            "command",
            redact(str(program["command"])),
            "a wrapper that ends in `exec gunicorn …`",
            "the wrapper keeps running as gunicorn's parent: signals of supervisord reach the"
            " wrapper only",
        )
    for other in sharing:
        add(
            "virtualenv",
            other,
            "a virtualenv of its own",
            "this other program runs from the same virtualenv, and is not restarted when the"
            " release is switched",
        )
    return found


def log_paths(program: Dict[str, Any], options: Dict[str, str], cwd: Optional[str]) -> List[str]:
    """Where the program's lines go: supervisord's files, and gunicorn's own error log."""
    paths = [program["stdout_logfile"]]
    if not program["redirect_stderr"]:
        paths.append(program["stderr_logfile"])
    own = options.get("errorlog") or options.get("logfile")
    if own and own != "-":
        paths.append(os.path.join(cwd or "/", own) if cwd or own.startswith("/") else None)
    found: List[str] = []
    for path in paths:
        if path and path.startswith("/") and not path.startswith("/dev/") and path not in found:
            found.append(path)
    return found


def version_matches(found: Optional[str], wanted: Optional[str]) -> bool:
    """ "3.11" is any 3.11.x; a version that could not be read matches nothing but "any"."""
    if not wanted:
        return True
    return found is not None and (found == wanted or found.startswith(wanted + "."))


def clashes(listener: str, wanted: Iterable[str]) -> bool:
    """Would a bind to one of ``wanted`` fail because of ``listener``?"""
    for address in wanted:
        if listener == address:
            return True
        if listener.startswith("unix:") or address.startswith("unix:"):
            continue
        (host, port), (mine, my_port) = listener.rsplit(":", 1), address.rsplit(":", 1)
        if port == my_port and {host, mine} & {"0.0.0.0", "[::]"}:
            return True
    return False


def stray_report(stray: Stray) -> Dict[str, Any]:
    return {"pid": stray.process.pid, "ppid": stray.process.ppid, "listeners": stray.addresses}


# --- files of a virtualenv ------------------------------------------------------------------------


def site_packages(reader: Reader, prefix: str) -> List[str]:
    found = []
    for lib in ("lib", "lib64"):
        # lib64 is a link to lib in most virtualenvs.
        if lib == "lib64" and reader.kind(f"{prefix}/{lib}") == "symlink":
            continue
        for name in reader.names(f"{prefix}/{lib}"):
            if re.match(r"^(python|pypy)\d", name):
                found.append(f"{prefix}/{lib}/{name}/site-packages")
    return found


def gunicorn_version(reader: Reader, prefix: str) -> Optional[str]:
    """Out of the code itself; the metadata beside it may be a left-over of an interrupted pip."""
    for site in site_packages(reader, prefix):
        text = reader.text(f"{site}/gunicorn/__init__.py", 1 << 16)
        match = re.search(r"^version_info\s*=\s*\(([^)]*)\)", text, re.M)
        if match:
            parts = [part.strip().strip("'\"") for part in match.group(1).split(",")]
            return ".".join(part for part in parts if part)
        for name in reader.names(site):
            match = re.match(r"^gunicorn-([^-]+)\.(?:dist|egg)-info$", name)
            if match:
                return match.group(1)
    return None


def python_version(reader: Reader, prefix: str) -> Optional[str]:
    """Out of pyvenv.cfg: ``version`` (venv) or ``version_info`` (virtualenv, uv)."""
    text = reader.text(f"{prefix}/pyvenv.cfg", 1 << 16)
    match = re.search(r"^version(?:_info)?\s*=\s*(\d+\.\d+(?:\.\d+)?)", text, re.M)
    return match.group(1) if match else None


def freeze(reader: Reader, prefix: str) -> List[str]:
    """What ``pip freeze`` would say, read from the metadata files."""
    found = {}
    for site in site_packages(reader, prefix):
        for name in reader.names(site):
            if not name.endswith(".dist-info"):
                continue
            head = reader.text(f"{site}/{name}/METADATA", 1 << 16).split("\n\n")[0]
            fields = dict(re.findall(r"^(Name|Version):[ \t]*(\S+)", head, re.M))
            if len(fields) < 2 or fields["Name"].lower() in ("pip", "setuptools", "wheel"):
                continue
            line = "{Name}=={Version}".format(**fields)
            origin = _direct_url(reader.text(f"{site}/{name}/direct_url.json", 1 << 16))
            if origin:
                line = f"{fields['Name']} @ {redact(origin)}"
            found[fields["Name"].lower()] = line
    return [found[name] for name in sorted(found)]


def _direct_url(text: str) -> Optional[str]:
    try:
        data = json.loads(text)
        url = str(data["url"])
        vcs = data.get("vcs_info")
        return "{}+{}@{}".format(vcs["vcs"], url, vcs["commit_id"]) if vcs else url
    except (ValueError, LookupError, TypeError):
        return None


def release_id(reader: Reader, home: str, prefix: Optional[str]) -> Optional[str]:
    """The id of the release that stands at ``prefix``."""
    if not prefix:
        return None
    real = reader.real(prefix)
    if os.path.dirname(real) == os.path.join(reader.real(home), "releases"):
        return os.path.basename(real)
    try:
        found = json.loads(reader.text(f"{real}/release.json")).get("id")
    except (ValueError, AttributeError):
        return None
    return str(found) if found else None


def read_venv(reader: Reader, home: str) -> Venv:
    path = f"{home}/venv"
    kind = reader.kind(path)
    if kind not in ("symlink", "directory"):
        return Venv(path, "absent" if kind == "absent" else kind, None, None, None, None, None)
    target = reader.real(path) if kind == "symlink" else None
    prefix = target or path
    release = release_id(reader, home, prefix) if kind == "symlink" else None
    before = read_history(reader, home).get(release or "")
    present = before and reader.kind(release_path(home, before)) == "directory"
    return Venv(
        path,
        kind,
        target,
        release,
        python_version(reader, prefix),
        gunicorn_version(reader, prefix),
        reader.changed(path),
        before if present else None,
    )


def release_path(home: str, release: str) -> str:
    return release if release.startswith("/") else f"{home}/releases/{release}"


def history_path(home: str) -> str:
    return f"{home}/releases/.history.json"


def read_history(reader: Reader, home: str) -> Dict[str, str]:
    """{release: the one that was active before it}; what is no such thing counts as empty."""
    try:
        found = json.loads(reader.text(history_path(home)))
        return {str(after): str(before) for after, before in found.items()}
    except (ValueError, AttributeError):
        return {}


def add_history(history: Dict[str, str], before: Optional[str], after: str) -> Dict[str, str]:
    """Note that ``after`` followed ``before``. Going back is no step forward and adds nothing."""
    if not before or before == after:
        return history
    earlier = before
    passed = set()
    while earlier in history and earlier not in passed:
        passed.add(earlier)
        earlier = history[earlier]
        if earlier == after:
            return history
    return dict(history, **{after: before})


def name_adopted(gunicorn: Optional[str], python: Optional[str], lines: Iterable[str]) -> str:
    """A name for a virtualenv that someone else built; the same for the same content."""
    digest = hashlib.sha256("\n".join([python or "", *lines]).encode()).hexdigest()[:8]
    short = ".".join((python or "unknown").split(".")[:2])
    return "adopted-{}-py{}-{}".format(gunicorn or "unknown", short, digest)


# --- processes ------------------------------------------------------------------------------------


class Site:
    """One program on one host, and the means to look at it."""

    def __init__(
        self,
        home: str,
        program: str,
        reader: Reader,
        supervisor: Supervisor,
        run: Run,
        now: Callable[[], float],
        boot_epoch: float,
        ticks: int,
    ) -> None:
        self.home = os.path.normpath(home)
        self.reader = reader
        self.supervisor = supervisor
        self._run = run
        self._now = now
        self._boot_epoch = boot_epoch
        self._ticks = float(ticks)
        self._pythons: Dict[str, Optional[str]] = {}
        if reader.kind(reader.real(self.home)) != "directory":
            raise FleetError(
                f"The application's home {self.home} is no directory on this host. Set app_home"
                " (option home) to the directory that holds venv and releases."
            )
        # The same directory under its several names.
        self.homes = sorted({self.home, reader.real(self.home)})
        processes = supervisor.processes()
        chosen = choose_program(processes, program)
        self.name = "{group}:{name}".format(**chosen)
        self.supervisor_pid = supervisor.pid()
        self._others = {
            int(each["pid"]): "{group}:{name}".format(**each)
            for each in processes
            if each["pid"] and "{group}:{name}".format(**each) != self.name
        }
        configs = supervisor.configs()
        self.config: Dict[str, Any] = {}
        for each in configs:
            if (each["group"], each["name"]) == (chosen["group"], chosen["name"]):
                self.config = each
        self.sharing = sorted(
            "{group}:{name}".format(**each)
            for each in configs
            if each is not self.config and each.get("inuse") and self._names_home(each["command"])
        )
        self.section = parse_supervisor_config(
            self._config_texts(), str(chosen["group"]), str(chosen["name"])
        )
        self._user = self._program_user()

    # -- supervisord

    def _config_texts(self) -> List[str]:
        """supervisord's configuration file and those it includes, as far as they can be found."""
        reader, pid = self.reader, self.supervisor_pid
        words = reader.text(f"/proc/{pid}/cmdline").split("\0")
        cwd = reader.link(f"/proc/{pid}/cwd") or "/"
        named = ""
        for index, word in enumerate(words):
            if word in ("-c", "--configuration"):
                named = words[index + 1] if index + 1 < len(words) else ""
            elif word.startswith("--configuration="):
                named = word.partition("=")[2]
        usual = ["/etc/supervisord.conf", "/etc/supervisor/supervisord.conf"]
        for path in [os.path.join(cwd, named)] if named else usual:
            text = reader.text(path)
            if text:
                here = os.path.dirname(path)
                parser = configparser.RawConfigParser(
                    inline_comment_prefixes=(";", "#"), strict=False
                )
                try:
                    parser.read_string(text)
                    patterns = parser.get("include", "files").split()
                except configparser.Error:
                    patterns = []
                found = [text]
                for pattern in patterns:
                    pattern = os.path.join(here, pattern.replace("%(here)s", here))
                    found += [reader.text(name) for name in reader.glob(pattern)]
                return found
        return []

    def _program_user(self) -> Optional[str]:
        uid = self.config.get("uid")
        if not isinstance(uid, int):
            named = self.section.get("user")
            if named and not named.isdigit():
                return named
            uid = int(named) if named else read_uid(self.reader, self.supervisor_pid)
        return user_name(uid)

    def info(self) -> Dict[str, Any]:
        return self.supervisor.process(self.name)

    # -- one look

    def observe(self, waiting: bool = False) -> Observation:
        """Look at everything; while ``waiting`` for workers, at nothing dear before there are any.

        The kernel's lists of sockets take longer to read than all the rest, and what they take
        is taken from the gunicorn that boots.
        """
        reader = self.reader
        program = describe_program(self.info(), self.config, self.section, self._user)
        venv = read_venv(reader, self.home)
        table = read_table(reader)
        pid = program["pid"]
        if pid and pid in table and table[pid].ppid != self.supervisor_pid:
            raise FleetError(
                f"supervisord says that {self.name} is process {pid}, but on this host that is"
                f" not a child of supervisord ({self.supervisor_pid}): supervisor_url leads to"
                " another host or into a container. Run this where supervisord runs."
            )
        tree = [table[each] for each in descendants(table, pid)] if pid else []
        masters = self._masters(tree, table)
        top = masters[0] if masters else None
        environ = read_environ(reader, top.pid) if top else {}
        options = gunicorn_options(top.cmdline if top else (), environ, program["command"])
        workers = self._workers(top, table) if top else []
        listening: List[Listener] = []
        if workers or not waiting:
            listening = read_listeners(reader, top.pid if top else self.supervisor_pid)
        held = set()
        if top and listening:
            for each in [top] + workers:
                held |= read_inodes(reader, each.pid)
        orphans, unmanaged = self._strays(table, top, masters[1:], listening)
        return Observation(
            program,
            self._arbiter(top, venv, program, options, environ) if top else None,
            workers,
            tree,
            [each for each in listening if each.inode in held],
            listening,
            orphans,
            unmanaged,
            venv,
            options,
            environ,
        )

    def _masters(self, tree: List[Process], table: Dict[int, Process]) -> List[Process]:
        """The arbiters in a process tree, topmost first."""
        found = [
            each
            for each in tree
            if gunicorn_arguments(each.cmdline) is not None
            and (self._reexecuted(each) or not _is_gunicorn(table.get(each.ppid)))
        ]
        if found:
            return found
        # A program of the operator's own around gunicorn's classes: its children are forks that
        # share its listening socket.
        for each in tree:
            forks = [p for p in tree if p.ppid == each.pid and p.cmdline == each.cmdline]
            if forks:
                listening = {s.inode for s in read_listeners(self.reader, each.pid)}
                shared = read_inodes(self.reader, each.pid) & read_inodes(self.reader, forks[0].pid)
                if shared & listening:
                    return [each]
        return []

    def _reexecuted(self, process: Process) -> bool:
        """Was it started by USR2? Only such a one has its parent's pid in GUNICORN_PID."""
        if not _is_gunicorn(process):
            return False
        named = read_environ(self.reader, process.pid).get("GUNICORN_PID")
        return named == str(process.ppid)

    def _workers(self, top: Process, table: Dict[int, Process]) -> List[Process]:
        return [
            each
            for each in sorted(table.values())
            if each.ppid == top.pid
            and (each.cmdline == top.cmdline or _is_gunicorn(each))
            and not self._reexecuted(each)
        ]

    def _strays(
        self,
        table: Dict[int, Process],
        top: Optional[Process],
        others: List[Process],
        listening: List[Listener],
    ) -> Tuple[List[Stray], List[Stray]]:
        """Gunicorn processes of this home whose arbiter is gone, and arbiters out of control."""
        own = set(descendants(table, top.pid)) if top else set()
        orphans, unmanaged = [], []
        for each in sorted(table.values()):
            if not _is_gunicorn(each):
                continue
            forced = each in others
            if not forced and (each.pid in own or _is_gunicorn(table.get(each.ppid))):
                continue
            if not self._lives_here(each):
                continue
            inodes = read_inodes(self.reader, each.pid)
            workers = self._workers(each, table)
            for worker in workers:
                inodes |= read_inodes(self.reader, worker.pid)
            addresses = [s.address for s in listening if s.inode in inodes]
            owner = self._owner(table, each)
            if workers or forced or owner or is_master_title(each.cmdline):
                unmanaged.append(Stray(each, addresses, owner))
            else:
                orphans.append(Stray(each, addresses, None))
        return orphans, unmanaged

    def _owner(self, table: Dict[int, Process], process: Process) -> Optional[str]:
        """The other program of this supervisord that ``process`` belongs to."""
        pid = process.pid
        while pid in table:
            if pid in self._others:
                return self._others[pid]
            pid = table[pid].ppid
        return None

    def _names_home(self, text: str) -> bool:
        return any(
            f"{home}/{place}/" in text for home in self.homes for place in ("venv", "releases")
        )

    def _lives_here(self, process: Process) -> bool:
        """Does it run from this home's venv or releases, and in this container?"""
        if not same_place(self.reader, process.pid, self.supervisor_pid):
            return False
        if any(self._names_home(word) for word in process.cmdline):
            return True
        if any(self._names_home(path) for path in read_mapped(self.reader, process.pid)):
            return True
        path = read_environ(self.reader, process.pid).get("PATH", "")
        return any(self._names_home(entry + "/") for entry in path.split(":"))

    def age(self, seen: Observation) -> float:
        """How long the generation has lived, in seconds."""
        return self._now() - seen.arbiter.started if seen.arbiter else 0.0

    def _started(self, process: Process) -> float:
        return round(self._boot_epoch + process.start_ticks / self._ticks, 2)

    def _arbiter(
        self,
        top: Process,
        venv: Venv,
        program: Dict[str, Any],
        options: Dict[str, str],
        environ: Dict[str, str],
    ) -> Arbiter:
        reader = self.reader
        prefix = self.prefix(top, venv, program["command"], environ)
        executable = reader.link(f"/proc/{top.pid}/exe")
        uid = read_uid(reader, top.pid)
        return Arbiter(
            top.pid,
            self._started(top),
            top.start_ticks,
            reader.text("/proc/sys/kernel/random/boot_id").strip(),
            uid,
            user_name(uid),
            reader.link(f"/proc/{top.pid}/cwd"),
            self.python(executable) or (python_version(reader, prefix) if prefix else None),
            executable,
            gunicorn_version(reader, prefix) if prefix else None,
            prefix,
            release_id(reader, self.home, prefix),
            _number(options.get("workers")),
            shown(top.cmdline),
        )

    def python(self, executable: Optional[str]) -> Optional[str]:
        """Ask the interpreter; once each, because it costs a process in the middle of a switch.

        Root does not run what the application's user may have written; pyvenv.cfg serves then.
        """
        if not executable or not self.reader.trusted(executable):
            return None
        if executable not in self._pythons:
            code = "import sys; print('%d.%d.%d' % sys.version_info[:3])"
            answer = (self._run([executable, "-I", "-S", "-c", code]) or "").strip()
            self._pythons[executable] = answer if re.match(r"^\d+\.\d+\.\d+$", answer) else None
        return self._pythons[executable]

    def prefix(
        self, process: Process, venv: Venv, command: Optional[str], environ: Dict[str, str]
    ) -> Optional[str]:
        """The real path of the virtualenv that the process was started from, or None.

        A command line that goes through ``<home>/venv`` says nothing once the link has been
        flipped: then files that are mapped decide, or that the process is younger than the link.
        """
        reader = self.reader
        through_link = False
        for path in self._started_through(process, command, environ):
            prefix = os.path.dirname(os.path.dirname(path))
            if venv.kind == "symlink" and prefix in [f"{home}/venv" for home in self.homes]:
                through_link = True
            elif reader.kind(f"{prefix}/pyvenv.cfg") != "absent":
                return reader.real(prefix)
        mapped = read_mapped(reader, process.pid)
        mapped.add(reader.link(f"/proc/{process.pid}/exe") or "")
        counts: Dict[str, int] = {}
        for home in self.homes:
            for path in mapped:
                match = re.match(rf"^({re.escape(home)}/(?:releases/[^/]+|venv))/", path)
                if match:
                    counts[match.group(1)] = counts.get(match.group(1), 0) + 1
        if counts:
            return reader.real(max(sorted(counts), key=lambda each: counts[each]))
        if (
            through_link
            and venv.target
            and venv.changed is not None
            and self._started(process) >= venv.changed - CLOCK_SLACK
        ):
            return venv.target
        return None

    def _started_through(
        self, process: Process, command: Optional[str], environ: Dict[str, str]
    ) -> List[str]:
        """Absolute paths of the interpreter and script on the command line, most telling first."""
        found = invocation(process.cmdline)
        if found:
            words = [found.python, found.script]
        else:
            words = [word for word in split_words(command) if "/bin/" in word]
        cwd = self.reader.link(f"/proc/{process.pid}/cwd") or "/"
        paths = []
        for word in words:
            if "/" in word:
                paths.append(os.path.normpath(os.path.join(cwd, word)))
            elif word:
                for entry in environ.get("PATH", "").split(":"):
                    if self.reader.kind(f"{entry}/{word}") != "absent":
                        paths.append(f"{entry}/{word}")
                        break
        return paths

    def goes_through_venv(self, seen: Observation) -> bool:
        """Will a flip of ``<home>/venv`` change what the program's command runs?

        Anything that names the path counts: a wrong yes is caught when the new generation is
        proved, a wrong no would refuse a switch that works.
        """
        command = str(seen.program["command"] or "")
        texts = [command, self.section.get("environment", "")]
        texts += [word for process in seen.tree for word in process.cmdline]
        environs = [seen.environ, read_environ(self.reader, self.supervisor_pid)]
        texts += [environ.get("PATH", "") for environ in environs]
        texts.append(seen.environ.get("VIRTUAL_ENV", ""))
        directory = str(seen.program["directory"] or "/")
        scripts = []
        for word in split_words(command)[:3]:
            path = os.path.join(directory, word)
            texts.append(os.path.normpath(path))
            script = self.reader.read(path, 1 << 16) if self.reader.kind(path) == "file" else b""
            if script and not script.startswith(b"\x7fELF"):
                scripts.append(script.decode("utf-8", "replace"))
        named = "|".join(re.escape(f"{home}/venv") for home in self.homes)
        # A script may have changed the directory; another virtualenv's name may end in "venv".
        relative = rf"(?<![\w.-])venv/bin|{named}"
        searches = [(named, text) for text in texts] + [(relative, text) for text in scripts]
        return any(re.search(rf"(?:{name})(?![\w.-])", text) for name, text in searches)

    def deviations(self, seen: Observation) -> List[Dict[str, str]]:
        wrapped = bool(seen.arbiter and seen.arbiter.pid != seen.program["pid"])
        return deviations(seen.program, seen.options, wrapped, self.sharing)

    def adopted_id(self, venv: Venv) -> str:
        return name_adopted(venv.gunicorn, venv.python, freeze(self.reader, venv.path))

    def unread(self, seen: Observation) -> List[str]:
        """What could not be looked at because it belongs to another user."""
        pids = {str(each.pid) for each in seen.tree}
        pids |= {str(each.process.pid) for each in seen.orphans + seen.unmanaged}
        return sorted(
            path
            for path in self.reader.denied
            if not path.startswith("/proc/") or path.split("/")[2] in pids
        )[:20]

    def report(self, seen: Observation) -> Dict[str, Any]:
        """The observation as gunicorn_info returns it."""
        program = dict(seen.program)
        program["command"] = redact(program["command"]) if program["command"] else None
        venv = dict(seen.venv._asdict())
        del venv["changed"]
        venv["adopt_as"] = self.adopted_id(seen.venv) if seen.venv.kind == "directory" else None
        cwd = seen.arbiter.cwd if seen.arbiter else program["directory"]
        return {
            "program": program,
            "arbiter": dict(seen.arbiter._asdict()) if seen.arbiter else None,
            "workers": [{"pid": each.pid, "started": self._started(each)} for each in seen.workers],
            "listeners": sorted({each.address for each in seen.listeners}),
            "orphans": [stray_report(each) for each in seen.orphans],
            "unmanaged": [
                dict(stray_report(each), program=each.program) for each in seen.unmanaged
            ],
            "venv": venv,
            "deviations": self.deviations(seen),
            "logs": log_paths(program, seen.options, cwd),
            "unread": self.unread(seen),
        }


def _is_gunicorn(process: Optional[Process]) -> bool:
    return process is not None and gunicorn_arguments(process.cmdline) is not None


def user_name(uid: Optional[int]) -> Optional[str]:
    if uid is None:
        return None
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


# --- for the modules ------------------------------------------------------------------------------

SITE_OPTIONS: Dict[str, Dict[str, Any]] = {
    "home": {"type": "path", "required": True},
    "program": {"type": "str", "required": True},
    "supervisor_url": {"type": "str", "default": "unix:///run/supervisor.sock"},
    "supervisor_username": {"type": "str"},
    "supervisor_password": {"type": "str", "no_log": True},
}


def boot_epoch() -> float:
    """When the machine booted, as /proc counts start times (suspended time included)."""
    boottime_clock = 7
    return time.time() - time.clock_gettime(boottime_clock)


def open_site(params: Dict[str, Any], run: Run) -> Site:
    if not str(params["home"]).startswith("/"):
        raise FleetError(f"home is an absolute path, not {params['home']!r}.")
    return Site(
        home=params["home"],
        program=params["program"],
        reader=Reader(),
        supervisor=Supervisor(
            params["supervisor_url"], params["supervisor_username"], params["supervisor_password"]
        ),
        run=run,
        now=time.time,
        boot_epoch=boot_epoch(),
        ticks=os.sysconf("SC_CLK_TCK"),
    )
