# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where gunicorn was started, told from where it is now. No I/O but "is there such a file?".

It has gone to its ``chdir`` since, and reads ``-c`` before that: ``-c conf/g.py --chdir src`` works
in one directory only, and the kernel names the other one.
"""

import os
from typing import Callable, List, Mapping, Optional, Sequence

from ansible_collections.fleetops.gunicorn.plugins.module_utils._gunicorn.options import split_words
from ansible_collections.fleetops.gunicorn.plugins.module_utils._release.trial_config import (
    split_config,
)

DEFAULT_CONFIG = "gunicorn.conf.py"

_CHDIR, _SHORTEST = "--chdir", "--chd"


def starting_place(
    directory: str,
    parent: str,
    direct: bool,
    variables: Mapping[str, str],
    now: str,
    arguments: Sequence[str] = (),
    exists: Callable[[str], bool] = os.path.exists,
) -> str:
    """Where a trial begins.

    ``directory`` is what the service manager is told (empty: nothing), ``parent`` where the process
    is that started gunicorn, ``direct`` whether that is the service manager itself, ``variables``
    gunicorn's environment, ``now`` where gunicorn is, ``arguments`` what it was told.
    """
    if direct:
        return directory or parent or now
    # A script has gone somewhere first. A shell notes where; others leave the note of who started
    # the service manager, so what gunicorn was told must be found there.
    above = [now]
    while above[-1] not in ("/", ""):
        above.append(os.path.dirname(above[-1]))
    told = _Told(arguments, variables, now, exists)
    for place in [variables.get("PWD", ""), directory, parent, *above]:
        if os.path.isabs(place) and told.fits(place):
            return place
    return now


class _Told:
    """What gunicorn was told that depends on where it was started."""

    def __init__(
        self,
        arguments: Sequence[str],
        variables: Mapping[str, str],
        now: str,
        exists: Callable[[str], bool],
    ) -> None:
        more = split_words(variables.get("GUNICORN_CMD_ARGS"))
        config = split_config(arguments)[0] or split_config(more)[0] or ""
        self._config = config[len("file:") :] if config.startswith("file:") else config
        self._chdir = told_chdir(arguments) or told_chdir(more)
        self._now = os.path.normpath(now)
        self._exists = exists

    def fits(self, place: str) -> bool:
        place = os.path.normpath(place)
        if self._config.startswith("python:"):
            # Found by its name on sys.path, which begins here.
            may_move = _is_below(self._now, place)
        elif self._config:
            if not self._exists(os.path.join(place, self._config)):
                return False
            may_move = not os.path.isabs(self._config) or _is_below(self._now, place)
        else:
            may_move = self._exists(os.path.join(place, DEFAULT_CONFIG))
        if not self._chdir:
            return place == self._now or may_move
        if os.path.isabs(self._chdir):
            # It leads there from everywhere.
            return place == self._now or may_move or _is_below(self._now, place)
        return os.path.normpath(os.path.join(place, self._chdir)) == self._now


def told_chdir(arguments: Sequence[str]) -> Optional[str]:
    """The last ``--chdir`` of gunicorn's arguments."""
    found: Optional[str] = None
    words: List[str] = list(arguments)
    while words and words[0] != "--":
        name, equals, value = words.pop(0).partition("=")
        if _CHDIR.startswith(name) and name.startswith(_SHORTEST):
            found = value if equals else (words.pop(0) if words else found)
    return found


def _is_below(path: str, top: str) -> bool:
    """Whether a directory lies in another one, which is not all there is."""
    return top != "/" and (path + "/").startswith(top.rstrip("/") + "/")
