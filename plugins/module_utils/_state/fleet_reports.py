# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The reports of a fleet's last runs, on the host of its lock, for its user's eyes only.

A controller may forget (a container does). Each report is a file of this shape::

    {"schema": 1, "playbook", "result", "host", "code", "by", "controller": texts,
     "began", "ended": epoch seconds, "content": the report's JSON, compressed, in base64}

Its name says when the run began, what it was, and which run: a run that tells more later replaces
what it told before.
"""

import base64
import binascii
import json
import os
import re
import zlib
from typing import Any, Dict, List, Tuple

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.directory import (
    Opened,
    StateDirectory,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.document import (
    Unbelievable,
    believe,
    fields,
    plain,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.fleet_lock import check_fleet

SCHEMA = 1
MOST = 100
# Compressed. Text of a run shrinks to a tenth.
CONTENT_LIMIT = 1024 * 1024
# What is larger was not made here, and is not unpacked.
UNPACKED_LIMIT = 32 * 1024 * 1024
_FILE_LIMIT = 2 * CONTENT_LIMIT
_ENDING = ".report"
_NAME = re.compile(r"[0-9]{8}T[0-9]{6}Z-[A-Za-z0-9_-]{1,64}\Z")
_WORDS = ("playbook", "result", "host", "code", "by", "controller")
_KINDS: Dict[str, Tuple[type, ...]] = {
    "playbook": (str,),
    "result": (str,),
    "host": (str,),
    "code": (str,),
    "by": (str,),
    "controller": (str,),
    "began": (int, float),
    "ended": (int, float),
    "content": (str,),
}

About = Dict[str, Any]


def check_name(name: str) -> str:
    """The name of a report; whatever else a host calls one is no name, and no part of a path."""
    if not _NAME.match(name):
        raise FleetError(
            f"{plain(repr(name[:80]))} is no name of a report. status.yml names those that are"
            " kept, as 20261123T173928Z-upgrade-1a2b3c4d."
        )
    return name


def pack(text: str) -> str:
    return base64.b64encode(zlib.compress(text.encode("utf-8"), 9)).decode("ascii")


def unpack(content: str) -> str:
    """The text, as far as it is one, whoever packed it."""
    try:
        unpacker = zlib.decompressobj()
        raw = unpacker.decompress(base64.b64decode(content, validate=True), UNPACKED_LIMIT)
        if not unpacker.eof:
            raise ValueError("it is not whole, or too large")
        return raw.decode("utf-8")
    except (ValueError, binascii.Error, zlib.error) as exc:
        raise Unbelievable(f"it cannot be unpacked: {exc}") from None


class FleetReports:
    """The reports of one fleet, in a directory of its own beside the fleet's record."""

    def __init__(self, directory: str, fleet: str) -> None:
        check_fleet(fleet)
        self._parent = StateDirectory(directory, private=False)
        self.path = f"{self._parent.path}/{fleet}.reports"
        self._directory = StateDirectory(self.path, private=True)

    def keep(self, name: str, about: About, content: str, most: int) -> List[str]:
        """Write one, and forget the oldest beyond ``most``; returns the names of those."""
        check_name(name)
        if len(content) > CONTENT_LIMIT:
            raise FleetError(
                f"Report {name} was not kept in {self.path}: {len(content)} bytes, of"
                f" {CONTENT_LIMIT} at most. It is on the controller only."
            )
        with self._parent.opened(create=True):
            # Only so that it is there, with the modes of whatever else is in it.
            pass
        with self._directory.locked(create=True) as box:
            if box is None:
                return []
            whole = dict(about, schema=SCHEMA, content=content)
            document = json.dumps(whole, sort_keys=True).encode("utf-8") + b"\n"
            box.write(name + _ENDING, document, _FILE_LIMIT)
            # By their names, which begin with when the run began. A controller whose clock is
            # wrong must not lose its own at once.
            others = [each for each in self._names(box) if each != name]
            forgotten = others[: max(len(others) - (max(most, 1) - 1), 0)]
            for each in forgotten:
                box.remove(each + _ENDING)
            return forgotten

    def listed(self) -> List[About]:
        """What is known of each, the newest first; one that is damaged has an ``error``."""
        with self._directory.opened() as box:
            if box is None:
                return []
            found = []
            for name in reversed(self._names(box)[-MOST:]):
                try:
                    about = self._read(box, name)
                    about.pop("content")
                    found.append(dict(about, name=name, error=""))
                except FleetError as exc:
                    found.append({"name": name, "error": str(exc)})
            return found

    def content(self, name: str) -> str:
        """The packed content of one."""
        check_name(name)
        with self._directory.opened() as box:
            if box is None or not box.exists(name + _ENDING):
                raise FleetError(
                    f"There is no report {name} in {self.path}. status.yml names those that are"
                    " kept; the oldest are forgotten (report_copies)."
                )
            return str(self._read(box, name)["content"])

    def _names(self, box: Opened) -> List[str]:
        found = [each for each in os.listdir(box.handle) if each.endswith(_ENDING)]
        return sorted(name for name in (each[: -len(_ENDING)] for each in found) if _is_name(name))

    def _read(self, box: Opened, name: str) -> About:
        content = box.read(name + _ENDING, _FILE_LIMIT)
        if content is None:
            raise Unbelievable("it is gone")
        return believe(content, SCHEMA, _about)


def _is_name(text: str) -> bool:
    return bool(_NAME.match(text))


def _about(record: Dict[str, Any]) -> About:
    found = fields(record, _KINDS)
    return dict(found, **{word: plain(found[word]) for word in _WORDS})
