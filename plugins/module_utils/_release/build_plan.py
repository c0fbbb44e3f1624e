# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What to build, thought through by reading only: check mode ends here."""

import hashlib
import os
import zipfile
from contextlib import suppress
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.commands import User
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.carried_pins import (
    Carried,
    Dist,
    carry,
    exact_text,
    not_from_an_index,
    pins_of,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.find_python import (
    find_python,
    find_uv,
    probe_python,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.installer import (
    Source,
    check_python,
    choose,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.interpreters import (
    Interpreter,
    not_found,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.requirements import (
    Flat,
    Prepared,
    flatten,
    link_places,
    local_paths,
    prepare,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.site_files import (
    MAX_NAMED,
    Entry,
    content_sha256,
    file_sha256,
    split,
    told,
    tree_sha256,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.venv import (
    check_carryable,
    read_dists,
    read_sites,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.version_caps import (
    Cap,
    caps,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.version_caps import (
    refusal as refuse_caps,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._release.record import (
    SCHEMA,
    inputs_sha256,
    release_id,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._release.store import (
    read_record,
    refuse_doubt,
    why_not_believed,
)


class Base(NamedTuple):
    """A venv from which to carry over."""

    dists: List[Dist]
    markers: Dict[str, str]
    # For the record: the same again for the next release carried from this one.
    recorded: Dict[str, Any]


def carry_base(venv: str, user: Optional[User] = None) -> Base:
    """What to carry over from a venv.

    A release that was itself carried over hands on what it got: each stage is then built
    from the same base, whichever of them is live by now, and a second run changes nothing.
    """
    check_carryable(venv)
    real = os.path.realpath(venv)
    record: Optional[Dict[str, Any]] = None
    with suppress(FleetError):
        record = read_record(real)
    if record and record.get("carried_from") and not why_not_believed(real):
        saved = record["carried_from"]
        pythons = saved.get("requires_python") or {}
        dists = [Dist(n, v, tuple(r), "", str(pythons.get(n, ""))) for n, v, r in saved["dists"]]
        return Base(dists, dict(saved["markers"]), saved)
    dists = read_dists(venv)
    probed = probe_python(os.path.join(venv, "bin", "python"), user)
    if probed.interpreter is None:
        raise FleetError(
            "{}: its Python {}. What it holds cannot be carried over; give a requirements file "
            "(app_requirements).".format(venv, probed.why or "is missing")
        )
    markers = probed.interpreter.markers
    # gunicorn stays out: it is the stage's, and its number must not reach the hash.
    kept = [d for d in dists if d.name != "gunicorn" and not d.origin]
    gunicorn = [d for d in dists if d.name == "gunicorn"]
    saved = {
        "markers": markers,
        "dists": [[d.name, d.version, list(d.requires)] for d in kept]
        + [["gunicorn", "0", list(d.requires)] for d in gunicorn],
        "requires_python": {d.name: d.requires_python for d in kept if d.requires_python},
    }
    return Base(dists, markers, saved)


# --- the order ----------------------------------------------------------------------------------


class Order(NamedTuple):
    """What to build."""

    home: str
    gunicorn: str
    python: str
    requirements: Optional[str]
    requirements_file: str
    requirements_source: str
    carry_from: str
    source: Source
    require_hashes: bool
    installer: str
    min_free_mb: int
    built_by: str
    user: Optional[User] = None
    # What no package owns in the virtualenv carried from: names or patterns of what goes over...
    carry_files: Tuple[str, ...] = ()
    # ... and of what does not.
    leave_files: Tuple[str, ...] = ()
    # Packages of which nothing is to be proved.
    trust: Tuple[str, ...] = ()


class Plan(NamedTuple):
    """The order, thought through; nothing was written for it."""

    order: Order
    interpreter: Interpreter
    identity: str
    path: str
    inputs: Dict[str, Any]
    prepared: Prepared
    carried: Optional[Carried]
    base: Optional[Base]
    uv: str
    installer: str
    # What goes over though no package owns it: (directory of packages, entry).
    files: Tuple[Tuple[str, Entry], ...] = ()
    # What is left behind on the operator's word.
    left: Tuple[Entry, ...] = ()
    caps: Tuple[Cap, ...] = ()
    # Files and directories of the host that the requirements name.
    local: Tuple[str, ...] = ()

    @property
    def may_relax(self) -> bool:
        """Whether pins carried over may move: not as long as the Python stays."""
        return bool(self.base and self.base.markers["python_version"] != self.interpreter.minor)


def _read_file(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except (OSError, UnicodeDecodeError) as exc:
        raise FleetError(
            "requirements file {}: {}. Give app_requirements a file that is there, or leave it "
            "empty to carry over what the live venv holds.".format(
                path, getattr(exc, "strerror", None) or exc
            )
        ) from exc


def _content_of(path: str) -> str:
    """What an archive holds: of a wheel what its directory of entries says, without times."""
    if path.endswith((".whl", ".zip")):
        try:
            with zipfile.ZipFile(path) as archive:
                held = sorted(f"{i.filename} {i.CRC} {i.file_size}" for i in archive.infolist())
            return hashlib.sha256("\n".join(held).encode("utf-8", "replace")).hexdigest()
        except zipfile.BadZipFile:
            pass
    return file_sha256(path)


def _listing(path: str) -> str:
    """A hash of the packages that lie in a directory."""
    names = sorted(n for n in os.listdir(path) if n.endswith((".whl", ".tar.gz", ".zip")))
    held = [f"{name} {_content_of(os.path.join(path, name))}" for name in names]
    return hashlib.sha256("\n".join(held).encode()).hexdigest() if names else ""


def _wheelhouse_listing(path: str) -> Optional[str]:
    if not path:
        return None
    try:
        listing = _listing(path)
    except OSError as exc:
        raise FleetError(f"wheelhouse {path} cannot be read: {exc.strerror}") from exc
    if not listing:
        raise FleetError(f"wheelhouse {path} holds no wheels")
    return listing


def local_sha256(paths: Sequence[str]) -> Dict[str, str]:
    """What the files and directories hold that requirements name: a path is no identity."""
    found = {}
    for path in paths:
        try:
            found[path] = tree_sha256(path) if os.path.isdir(path) else _content_of(path)
        except OSError as exc:
            raise FleetError(
                f"the requirements name {path}, and it cannot be read here: {exc.strerror}. Put "
                "it there on every server, or give a version that an index has."
            ) from exc
    return found


def check_home(home: str) -> str:
    """The real path of the application's directory; an error if nothing can be built in it."""
    if not os.path.isdir(home):
        what = "is not a directory" if os.path.exists(home) else "does not exist"
        raise FleetError(f"home {home} {what}; app_home must be the application's directory")
    real = os.path.realpath(home)
    place = os.path.join(real, "releases")
    if os.path.lexists(place) and not os.path.isdir(place):
        raise FleetError(f"{place} is there and is not a directory")
    refuse_doubt(place)
    target = place if os.path.isdir(place) else real
    if os.statvfs(target).f_flag & os.ST_RDONLY:
        raise FleetError(f"{target} is on a file system that is mounted read-only")
    if not os.access(target, os.W_OK | os.X_OK):
        raise FleetError(
            f"{target} is not writable for uid {os.geteuid()}; become a user who may write there"
        )
    return real


class NoPython(FleetError):
    """The stage's Python is not there; whether something provides it is not known here."""


class Capped(FleetError):
    """What is installed does not allow the stage."""

    def __init__(self, text: str, found: Sequence[Cap]) -> None:
        FleetError.__init__(self, text)
        self.caps = [cap for cap in found if cap.firm]


class _Wanted(NamedTuple):
    """What a release is to hold, before it is known on which Python."""

    source: str
    flat: Optional[Flat]
    base: Optional[Base]


def _by_hand(order: Order) -> Tuple[List[Tuple[str, Entry]], List[Entry], str]:
    """(what goes over, what is left behind, why that is not known) of what no package owns."""
    carried: List[Tuple[str, Entry]] = []
    left: List[Entry] = []
    open_: List[Entry] = []
    if order.carry_from and os.path.isdir(order.carry_from):
        for site in read_sites(order.carry_from):
            goes, stays, rest = split(site.unowned, order.carry_files, order.leave_files)
            carried += [(site.path, entry) for entry in goes]
            left += stays
            open_ += rest
    inside = tuple(
        p.rstrip("/") + "/" for p in (order.carry_from, os.path.realpath(order.carry_from))
    )
    for _site, entry in carried:
        back = [place for place in entry.leads_to if place.startswith(inside)]
        if back:
            return (
                carried,
                left,
                f"release_carry_files: {entry.path} leads to {back[0]}, in the virtualenv that it "
                "is carried over from; the new release would run the old one's code. Carry over "
                "what lies there instead, with a relative path in the .pth.",
            )
    if not open_:
        return carried, left, ""
    names = ", ".join(entry.path for entry in open_[:MAX_NAMED])
    return (
        carried,
        left,
        f"{order.carry_from} holds what no package owns, and a new release would not have it: "
        f"{told(open_)}. Say what is to become of it: release_carry_files: [{names}] takes it "
        "over as it is (paths in site-packages, or patterns), release_leave_files leaves it "
        "behind.",
    )


def _what(order: Order) -> _Wanted:
    if order.requirements is not None or order.requirements_file:
        source = order.requirements_source or order.requirements_file or "requirements"
        if order.requirements_file:
            path = order.requirements_file
            flat = flatten(_read_file(path), source, os.path.dirname(path), _read_file)
        else:
            flat = flatten(str(order.requirements), source)
        return _Wanted(source, flat, None)
    if not order.carry_from:
        raise FleetError(
            "nothing says what the application needs: give requirements, or carry_from (the live "
            "venv)"
        )
    if order.require_hashes:
        raise FleetError(
            f"hashes are required, and what is carried over from {order.carry_from} has none; "
            "give a requirements file with hashes (app_requirements)"
        )
    base = carry_base(order.carry_from, order.user)
    why = not_from_an_index(base.dists, order.carry_from)
    if why:
        raise FleetError(why)
    return _Wanted("carried over from " + order.carry_from, None, base)


def plan(order: Order) -> Plan:
    """Decide what to build, by reading only."""
    real = check_home(order.home)
    files, left, why = _by_hand(order)
    wanted = _what(order)
    if why:
        raise FleetError(why)
    uv = find_uv() if order.installer != "pip" else ""
    # Of several that would do, the one in place: so it stays the same from run to run.
    in_place = [os.path.join(order.carry_from, "bin", "python")] if order.carry_from else []
    found = find_python(order.python, in_place, order.user, uv)
    it = found.interpreter
    if it is None:
        raise NoPython(not_found(order.python, found))
    check_python(order.gunicorn, it.version)
    listing = _wheelhouse_listing(order.source.wheelhouse)
    carried: Optional[Carried] = None
    base = wanted.base
    flat = wanted.flat
    if base is not None:
        carried = carry(base.dists, base.markers, it.markers, order.carry_from)
        flat = flatten(exact_text(carried), wanted.source)
    if flat is None:
        raise ValueError("neither a base nor requirements are given")
    first = prepare(
        flat,
        order.gunicorn,
        wanted.source,
        order.require_hashes,
        carried.setuptools if carried else False,
    )
    installer = choose(order.installer, uv, it.version, first.pip_only, it.pip_wheel)
    capped = _caps_of(order, it, first, carried, base, installer)
    why = refuse_caps(capped, wanted.source)
    if why:
        raise Capped(why, capped)
    lines = flat.lines + flat.constraints
    local = local_sha256(local_paths(lines))
    inputs: Dict[str, Any] = {
        "schema": SCHEMA,
        "gunicorn": order.gunicorn,
        "python": it.version,
        "implementation": it.implementation,
        "platform": it.platform,
        "requirements": list(first.recorded),
        "require_hashes": first.hashed,
        "wheelhouse": listing,
    }
    # Only where there is something: what has none keeps the name that it had.
    if first.secret:
        inputs["unredacted"] = _slow_hash(first.secret)
    if local:
        inputs["local"] = local
    links = {path: _links_listing(path) for path in link_places(lines)}
    if links:
        inputs["links"] = links
    if files:
        inputs["files"] = {e.path: content_sha256(os.path.join(site, e.path)) for site, e in files}
    identity = release_id(order.gunicorn, it.version, inputs_sha256(inputs))
    return Plan(
        order=order,
        interpreter=it,
        identity=identity,
        path=os.path.join(real, "releases", identity),
        inputs=inputs,
        prepared=first,
        carried=carried,
        base=base,
        uv=uv,
        installer=installer,
        files=tuple(files),
        left=tuple(left),
        caps=tuple(capped),
        local=tuple(local),
    )


def _slow_hash(text: str) -> str:
    """A hash for the record of what holds a credential: slow to guess from, and cut short."""
    made = hashlib.pbkdf2_hmac("sha256", text.encode("utf-8"), b"fleetops.gunicorn", 200000)
    return made.hex()[:24]


def _links_listing(path: str) -> str:
    try:
        return _listing(path)
    except OSError:
        # The installer passes over a place that is not there.
        return ""


def _caps_of(
    order: Order,
    it: Interpreter,
    first: Prepared,
    carried: Optional[Carried],
    base: Optional[Base],
    installer: str,
) -> List[Cap]:
    """Who does not allow the stage, of the packages whose metadata are known."""
    markers = it.markers
    if carried is not None and base is not None:
        moves = base.markers["python_version"] != it.minor
        movable = {n for n, _version in carried.pins if moves and n not in carried.direct}
        return caps(
            base.dists, dict(carried.pins), movable, order.gunicorn, markers, installer == "pip"
        )
    if not order.carry_from or not os.path.isdir(order.carry_from):
        return []
    pins, _open = pins_of(first.recorded, markers)
    installed = read_dists(order.carry_from)
    return caps(installed, pins, frozenset(), order.gunicorn, markers, installer == "pip")
