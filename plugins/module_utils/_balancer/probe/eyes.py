# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is seen from a server: health pages, its own and the others', who is connected to it, and
what a page of the balancer's own says."""

import re
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Dict, FrozenSet, List, NamedTuple, Sequence, Tuple

from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.probe.options import (
    Settings,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.probe.traffic import (
    Place,
    Row,
    comers,
    parse_table,
    unheard,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.http_request import (
    ask,
    parse_url,
)

# So many are asked at once.
_AT_ONCE = 16
_TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
_LIMIT = 64 * 1024 * 1024


class Answer(NamedTuple):
    """What a health page says: ``UP`` or ``DOWN``, and why."""

    status: str
    why: str

    @property
    def up(self) -> bool:
        return self.status == "UP"


class Eyes:
    """Looks; each is bounded in time, and changes nothing."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def own(self) -> Answer:
        """The server's health page, as the balancer asks for it."""
        return self._health(self._settings.url)

    def gate(self) -> Answer:
        """The page that gates ask; UP if there is none."""
        settings = self._settings
        if not settings.gate_url:
            return Answer("UP", "")
        target = parse_url(settings.gate_url)
        found = ask(target, settings.timeout, time.monotonic, settings.gate_headers)
        good = found.status in settings.gate_status
        return Answer("UP" if good else "DOWN", found.error or f"HTTP {found.status}")

    def others(self, names: Sequence[str]) -> Dict[str, Answer]:
        """Those of other servers. One that fails is asked once more: a single answer may be lost,
        and a server that is ill stays so."""
        urls = [self._settings.others[name] for name in names]
        if not urls:
            return {}
        with ThreadPoolExecutor(min(_AT_ONCE, len(urls))) as pool:
            return dict(zip(names, pool.map(self._twice, urls)))

    def _twice(self, url: str) -> Answer:
        found = self._health(url)
        return found if found.up else self._health(url)

    def _health(self, url: str) -> Answer:
        settings = self._settings
        if not url:
            return Answer("DOWN", "nobody says where its health page is (load_balancer_probe_url)")
        target = parse_url(url)
        found = ask(target, settings.timeout, time.monotonic, settings.headers)
        if found.status is None:
            return Answer("DOWN", found.error)
        good = found.status in settings.status
        return Answer("UP" if good else "DOWN", f"HTTP {found.status} for {target.path}")

    def comers(self) -> FrozenSet[Tuple[str, int]]:
        """Who is connected to the ports, without those that do not count."""
        settings = self._settings
        return (
            comers(self._rows(), settings.ports, settings.ignore) if settings.ports else frozenset()
        )

    def unheard(self) -> List[Place]:
        """The ports that nobody listens on here."""
        return unheard(self._rows(), self._settings.ports) if self._settings.ports else []

    def _rows(self) -> List[Row]:
        ports = {place.port for place in self._settings.ports}
        found: List[Row] = []
        for path in _TABLES:
            try:
                with open(path, "rb") as file:
                    found += parse_table(file.read(_LIMIT).decode("ascii", "replace"), ports)
            except OSError as exc:
                # Without IPv6 there is no second one.
                if path == _TABLES[0]:
                    raise FleetError(
                        f"{path} cannot be read ({exc.strerror}), so that nobody knows who is"
                        " connected to this server."
                    ) from None
        return found

    def page_says(self, wanted: str) -> str:
        """Why the balancer's own page does not say that; empty if it does, or nobody asked."""
        settings = self._settings
        if not wanted:
            return ""
        found = ask(
            parse_url(settings.page), settings.timeout, time.monotonic, settings.page_headers
        )
        if found.status is None:
            return f"the balancer's page gives no answer ({found.error})"
        if found.status != 200:
            return f"the balancer's page answers HTTP {found.status}"
        if re.search(wanted, found.body):
            return ""
        return f"the balancer's page does not match {wanted!r}"
