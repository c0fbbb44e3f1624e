# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What to build, thought through by reading only: check mode ends here."""

import hashlib
import os
from contextlib import suppress
from typing import Any, Dict, List, NamedTuple, Optional

from ansible_collections.fleetops.gunicorn.plugins.module_utils._carry import (
    Carried,
    Dist,
    carry,
    exact_text,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._command import User
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._installer import (
    Source,
    check_python,
    choose,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._interpreters import (
    Interpreter,
    not_found,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._place import (
    read_record,
    refuse_doubt,
    why_not_believed,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._pythons import (
    find_python,
    find_uv,
    probe_python,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._release import (
    SCHEMA,
    inputs_sha256,
    release_id,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._requirements import (
    Prepared,
    flatten,
    prepare,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._venv import (
    check_carryable,
    read_dists,
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
        dists = [Dist(n, v, tuple(r)) for n, v, r in saved["dists"]]
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


def _wheelhouse_listing(path: str) -> Optional[str]:
    if not path:
        return None
    try:
        names = sorted(n for n in os.listdir(path) if n.endswith((".whl", ".tar.gz", ".zip")))
        if not names:
            raise FleetError(f"wheelhouse {path} holds no wheels")
        sizes = [f"{n} {os.path.getsize(os.path.join(path, n))}" for n in names]
    except OSError as exc:
        raise FleetError(f"wheelhouse {path} cannot be read: {exc.strerror}") from exc
    return hashlib.sha256("\n".join(sizes).encode()).hexdigest()


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


def plan(order: Order) -> Plan:
    """Decide what to build, by reading only."""
    real = check_home(order.home)
    uv = find_uv() if order.installer != "pip" else ""
    # Of several that would do, the one in place: so it stays the same from run to run.
    in_place = [os.path.join(order.carry_from, "bin", "python")] if order.carry_from else []
    found = find_python(order.python, in_place, order.user, uv)
    it = found.interpreter
    if it is None:
        raise FleetError(not_found(order.python, found))
    check_python(order.gunicorn, it.version)
    listing = _wheelhouse_listing(order.source.wheelhouse)
    carried: Optional[Carried] = None
    base: Optional[Base] = None
    if order.requirements is not None or order.requirements_file:
        source = order.requirements_source or order.requirements_file or "requirements"
        if order.requirements_file:
            path = order.requirements_file
            flat = flatten(_read_file(path), source, os.path.dirname(path), _read_file)
        else:
            flat = flatten(str(order.requirements), source)
        first = prepare(flat, order.gunicorn, source, order.require_hashes)
    elif order.carry_from:
        if order.require_hashes:
            raise FleetError(
                f"hashes are required, and what is carried over from {order.carry_from} has none; "
                "give a requirements file with hashes (app_requirements)"
            )
        base = carry_base(order.carry_from, order.user)
        carried = carry(base.dists, base.markers, it.markers, order.carry_from)
        keep = carried.setuptools
        source = "carried over from " + order.carry_from
        first = prepare(flatten(exact_text(carried), source), order.gunicorn, source, False, keep)
    else:
        raise FleetError(
            "nothing says what the application needs: give requirements, or carry_from (the live "
            "venv)"
        )
    inputs = {
        "schema": SCHEMA,
        "gunicorn": order.gunicorn,
        "python": it.version,
        "implementation": it.implementation,
        "platform": it.platform,
        "requirements": list(first.recorded),
        "require_hashes": first.hashed,
        "wheelhouse": listing,
    }
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
        installer=choose(order.installer, uv, it.version, first.pip_only, it.pip_wheel),
    )
