# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a HAProxy is reached: by its runtime socket."""

from contextlib import suppress
from typing import Callable, Dict, Optional, Sequence

from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.haproxy.balancer import (
    Balancer,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.haproxy.drain import (
    Change,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.haproxy.runtime import (
    Address,
    ask,
    parse_address,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.seam import (
    Access,
    Clock,
    Wish,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.shape import (
    Found,
    Glance,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError


class Haproxy(Access):
    """One HAProxy, by its `stats socket`."""

    kind = "HAProxy"

    def __init__(self, address: Address) -> None:
        self.address = address
        self.where = address.where
        self.text = address.text

    def is_at(self, text: str) -> bool:
        with suppress(FleetError):
            return parse_address(text).where == self.where
        return False

    def asker(self, timeout: float) -> Callable[[Sequence[str]], str]:
        """What sends commands and returns what came back."""
        return lambda commands: ask(self.address, commands, timeout)

    def glance(self, server: str, backends: Sequence[str], timeout: float) -> Glance:
        return Balancer(self.asker(timeout), backends).glance(server)

    def change(
        self,
        wish: Wish,
        backends: Sequence[str],
        clock: Clock,
        timeout: float,
        memory: Optional[Dict[str, Found]] = None,
    ) -> Change:
        return Change(Balancer(self.asker(timeout), backends), wish, clock, None, 0, memory)

    def anew(self, seen: Glance) -> str:
        return f"HAProxy was started anew (pid {seen.pid})"
