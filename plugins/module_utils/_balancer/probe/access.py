# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How such a balancer is reached: from the server itself, by what its health page looks at."""

from typing import Callable, Dict, Optional, Sequence

from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.probe.drain import Change
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.probe.eyes import Eyes
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.probe.options import (
    Settings,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.probe.switch import (
    switch_of,
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
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.machine import boottime


class Probe(Access):
    """Whoever asks this server's health page."""

    kind = "a balancer that asks a health page"
    # Nothing forgets it: what is gone, a person has undone.
    hand_counts = True

    def __init__(self, settings: Settings, fence: Callable[[], None] = lambda: None) -> None:
        self.settings = settings
        self._fence = fence
        self.where = self.text = f"probe:{switch_of(settings, '').text}"

    def glance(self, server: str, backends: Sequence[str], timeout: float) -> Glance:
        own = "maint" if switch_of(self.settings, server).glance() else "ready"
        return Glance(0, int(boottime()), dict.fromkeys(backends, own))

    def change(
        self,
        wish: Wish,
        backends: Sequence[str],
        clock: Clock,
        timeout: float,
        memory: Optional[Dict[str, Found]] = None,
    ) -> Change:
        switch = switch_of(self.settings, wish.server)
        return Change(
            self.settings, backends, wish, clock, Eyes(self.settings), switch, self._fence
        )

    def anew(self, seen: Glance) -> str:
        return "it was made well without being asked for"
