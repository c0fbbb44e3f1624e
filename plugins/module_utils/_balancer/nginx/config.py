# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""All files of one nginx, and the upstreams in them with the place of each `server`.

Reading is passed in.
"""

import glob
import hashlib
import os
import re
from typing import Callable, Dict, Iterator, List, NamedTuple, Sequence, Tuple

from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.nginx import mark
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.nginx.syntax import (
    Directive,
    line_of,
    parse,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.shape import some
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError

# More files than this, or a deeper chain of them, is a mistake.
_FILES = 5000
_DEEP = 20
_PASSES = ("proxy_pass", "grpc_pass", "uwsgi_pass", "fastcgi_pass", "scgi_pass", "memcached_pass")
_PASS = re.compile(r"^(?:(?P<scheme>[a-z]+)://)?(?P<name>[^/$]+)")
# Variables that begin a path, and lead nowhere else.
_URI = re.compile(r"\$(?:request_uri|uri|document_uri|is_args|args|query_string)\b.*")
_BALANCES = {"least_conn": "leastconn", "ip_hash": "ip_hash", "hash": "hash", "random": "random"}
Reader = Callable[[str], str]


class Seen(NamedTuple):
    """A directive, the file that it is in, and the blocks around it, includes seen through."""

    directive: Directive
    path: str
    blocks: Tuple[Directive, ...]

    @property
    def around(self) -> List[str]:
        return [block.name for block in self.blocks]


class Line(NamedTuple):
    """One `server` of an upstream, and where it stands."""

    entry: mark.Entry
    directive: Directive
    path: str
    line: int


class Upstream(NamedTuple):
    """One upstream. ``scheme``: in which it is asked, ``http`` unless a `proxy_pass` says another;
    ``mode``: ``http``, or ``tcp`` in a `stream`."""

    name: str
    mode: str
    balance: str
    sticky: str
    scheme: str
    lines: Tuple[Line, ...]


class Config(NamedTuple):
    """What the files say. ``texts`` by real path."""

    conf: str
    texts: Dict[str, str]
    upstreams: Tuple[Upstream, ...]
    pid_file: str
    error_log: str
    # Of each upstream, for each place that passes requests to it, the logs that hold them (path and
    # name of the format); and the formats by name.
    logs: Dict[str, Tuple[Tuple[Tuple[str, str], ...], ...]]
    formats: Dict[str, Tuple[str, ...]]
    # Addresses that a `proxy_pass` names itself, and whether one is only known when it is used.
    direct: Tuple[str, ...]
    variable: bool


def read_text(path: str) -> str:
    with open(path, "rb") as file:
        return file.read(16 * 1024 * 1024).decode("latin-1")


def load(conf: str, read: Reader = read_text) -> Config:
    """Read a configuration with all that it includes."""
    return _Loader(conf, read).load()


class _Loader:
    def __init__(self, conf: str, read: Reader) -> None:
        self._conf = conf
        self._root = os.path.dirname(conf)
        self._read = read
        self._parsed: Dict[str, Tuple[Directive, ...]] = {}
        self._texts: Dict[str, str] = {}

    def load(self) -> Config:
        conf = os.path.realpath(self._conf)
        seen = list(self._walk(self._file(conf), conf, (), 0))
        found: Dict[Tuple[str, str], List[Seen]] = {}
        for each in seen:
            if each.directive.name == "upstream" and each.directive.values:
                key = (_mode(each), each.directive.values[0])
                if key in found:
                    raise FleetError(
                        f"{self._conf}: upstream {key[1]} is there twice. Give each its own name."
                    )
                found[key] = []
            elif each.around and each.around[-1] == "upstream" and each.blocks[-1].values:
                found[(_mode(each), each.blocks[-1].values[0])].append(each)
        passes = _passes(seen)
        names = {name for _mode, name in found}
        schemes = {name: scheme for name, scheme, _blocks in passes}
        logs, formats = _logs(seen, passes)
        return Config(
            conf=self._conf,
            texts=self._texts,
            upstreams=tuple(
                self._upstream(mode, name, inside, schemes.get(name, "http"))
                for (mode, name), inside in found.items()
            ),
            pid_file=_main(seen, "pid"),
            error_log=_main(seen, "error_log"),
            logs=logs,
            formats=formats,
            direct=tuple(sorted({name for name, _scheme, _blocks in passes} - names)),
            variable=any(
                "$" in _URI.sub("", value).rpartition("://")[2].partition("/")[0]
                for each in seen
                if each.directive.name in _PASSES
                for value in each.directive.values[:1]
            ),
        )

    def _upstream(self, mode: str, name: str, inside: List[Seen], scheme: str) -> Upstream:
        said = [each.directive.name for each in inside]
        balance = next((_BALANCES[word] for word in said if word in _BALANCES), "roundrobin")
        sticky = next((word for word in said if word == "sticky"), "")
        if balance in ("ip_hash", "hash"):
            sticky = sticky or balance
        lines = tuple(
            Line(
                mark.read(self._texts[each.path], each.directive),
                each.directive,
                each.path,
                line_of(self._texts[each.path], each.directive.start),
            )
            for each in inside
            if each.directive.name == "server" and each.directive.values
        )
        return Upstream(name, mode, balance, sticky, "tcp" if mode == "tcp" else scheme, lines)

    def _walk(
        self,
        directives: Sequence[Directive],
        path: str,
        blocks: Tuple[Directive, ...],
        deep: int,
    ) -> Iterator[Seen]:
        for each in directives:
            if each.name == "include" and each.values and each.block is None:
                if deep > _DEEP:
                    raise FleetError(f"{path} includes itself, or too deep.")
                for name in self._included(each.values[0]):
                    real = os.path.realpath(name)
                    yield from self._walk(self._file(real), real, blocks, deep + 1)
                continue
            yield Seen(each, path, blocks)
            if each.block:
                yield from self._walk(each.block, path, blocks + (each,), deep)

    def _included(self, pattern: str) -> List[str]:
        whole = os.path.join(self._root, pattern)
        if not any(char in pattern for char in "*?["):
            return [whole]
        return sorted(glob.glob(whole))

    def _file(self, name: str) -> Tuple[Directive, ...]:
        path = os.path.realpath(name)
        if path not in self._parsed:
            if len(self._parsed) >= _FILES:
                raise FleetError(f"{self._conf} includes more than {_FILES} files.")
            try:
                self._texts[path] = self._read(path)
            except OSError as exc:
                raise FleetError(
                    f"{path}, of nginx's configuration, cannot be read: {exc.strerror}. Become"
                    " root, or name the file that nginx reads."
                ) from None
            self._parsed[path] = parse(self._texts[path], path)
        return self._parsed[path]


def _mode(seen: Seen) -> str:
    return "tcp" if "stream" in seen.around else "http"


def _main(seen: Sequence[Seen], name: str) -> str:
    """What a directive outside of all blocks says."""
    values = [each.directive.values for each in seen if each.directive.name == name]
    mine = [
        each.directive.values[0]
        for each in seen
        if each.directive.name == name and not each.blocks and each.directive.values
    ]
    return mine[0] if mine and values else ""


def _passes(seen: Sequence[Seen]) -> List[Tuple[str, str, Tuple[Directive, ...]]]:
    """Upstream or address, in which scheme it is asked, and the blocks around."""
    found = []
    for each in seen:
        name, values = each.directive.name, each.directive.values
        if name not in _PASSES or not values:
            continue
        match = _PASS.match(values[0])
        if match:
            kind = "http" if name == "proxy_pass" else name.partition("_")[0]
            scheme = match.group("scheme") or ("tcp" if _mode(each) == "tcp" else kind)
            found.append((match.group("name"), scheme, each.blocks))
    return found


def _logs(
    seen: Sequence[Seen], passes: Sequence[Tuple[str, str, Tuple[Directive, ...]]]
) -> Tuple[Dict[str, Tuple[Tuple[Tuple[str, str], ...], ...]], Dict[str, Tuple[str, ...]]]:
    """The logs (path, format) that hold the requests of each upstream; and the formats."""
    formats: Dict[str, Tuple[str, ...]] = {}
    at: Dict[Tuple[int, ...], List[Tuple[str, str]]] = {}
    for each in seen:
        values = each.directive.values
        if each.directive.name == "log_format" and len(values) > 1 and _mode(each) == "http":
            formats[values[0]] = tuple(values[1:])
        elif each.directive.name == "access_log" and values and _mode(each) == "http":
            form = _form(values)
            at.setdefault(tuple(map(id, each.blocks)), []).append((values[0], form))
    found: Dict[str, List[Tuple[Tuple[str, str], ...]]] = {}
    for name, _scheme, blocks in passes:
        here = tuple(map(id, blocks))
        while here and here not in at:
            here = here[:-1]
        logs = tuple(log for log in at.get(here, []) if log[0] != "off")
        mine = found.setdefault(name, [])
        if logs not in mine:
            mine.append(logs)
    return {name: tuple(each) for name, each in found.items()}, formats


def _form(values: Sequence[str]) -> str:
    """The name of the format of an `access_log`; in brackets what keeps it from being counted."""
    for value in values[1:]:
        if value.startswith(("gzip", "if=")):
            return f"({value})"
    return values[1] if len(values) > 1 and "=" not in values[1] else "combined"


# -- one server ----------------------------------------------------------------------------------


def host_of(address: str) -> str:
    """An address without its port: what a server is called where no other one has it."""
    if address.startswith("unix:"):
        return address
    host, colon, port = address.rpartition(":")
    return host if colon and port.isdigit() and not host.endswith(":") else address


def names(lines: Sequence[Line], whole: bool) -> List[str]:
    """What the servers of an upstream are called: by their hosts, and by the whole address where
    two have the same host, or where `whole` asks for it."""
    hosts = [host_of(line.entry.address) for line in lines]
    return [
        line.entry.address if whole or hosts.count(host) > 1 else host
        for line, host in zip(lines, hosts)
    ]


def goes_by_whole(config: Config, asked: Sequence[str]) -> bool:
    """Whether the operator calls servers by whole addresses."""
    known = {line.entry.address for up in config.upstreams for line in up.lines}
    return any(name in known and host_of(name) != name for name in asked)


def find(config: Config, name: str) -> Upstream:
    """The upstream of that name; an error says which there are."""
    found = [each for each in config.upstreams if each.name == name]
    if len(found) == 1:
        return found[0]
    if found:
        raise FleetError(
            f"{config.conf} has an upstream {name!r} in `http` and one in `stream`. Give one of"
            " them another name."
        )
    raise FleetError(
        f"Upstream {name!r} is not in nginx's configuration ({config.conf} and what it includes),"
        f" which has: {some(each.name for each in config.upstreams)}. A server is taken out of an"
        " `upstream { }`; a `proxy_pass` to one address has none."
    )


# -- what is in the files ------------------------------------------------------------------------


def plain(text: str, path: str = "") -> str:
    """A file without anything of ours: what somebody else has written."""
    if "# fleetops.gunicorn:" not in text:
        return text
    made: List[mark.Splice] = []

    def look(directives: Sequence[Directive]) -> None:
        for each in directives:
            if each.name == "server" and each.block is None and each.values:
                made.extend(mark.plain_splices(text, each))
            if each.block:
                look(each.block)

    look(parse(text, path))
    return mark.spliced(text, made)


def digests(config: Config) -> Dict[str, str]:
    """What somebody else has written, file by file."""
    return {
        path: hashlib.sha256(plain(text, path).encode("latin-1")).hexdigest()
        for path, text in config.texts.items()
    }


def states(config: Config) -> Dict[str, Tuple[int, int]]:
    """Of each server of each upstream whether it is down, and its weight."""
    return {
        f"{up.name}\0{line.entry.address}": (line.entry.out, line.entry.weight)
        for up in config.upstreams
        for line in up.lines
    }
