# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How an nginx is reached: by its files and its processes, on its own host."""

import os
from typing import Callable, Dict, Optional, Sequence, Tuple

from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.nginx.config import (
    Config,
    goes_by_whole,
    load,
    names,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.nginx.control import (
    Control,
    Settings,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.nginx.drain import Change
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.nginx.files import (
    Signature,
    signatures,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.nginx.scene import prober
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.seam import (
    Access,
    Clock,
    Wish,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.shape import (
    Found,
    Glance,
)


class Nginx(Access):
    """One nginx, by the file that it begins to read with."""

    kind = "nginx"
    # Whoever rewrites a file with a template and whoever takes a `down` out by hand do the same.
    hand_counts = False

    def __init__(self, settings: Settings, fence: Callable[[], None] = lambda: None) -> None:
        self.settings = settings
        self.where = f"nginx {os.path.realpath(settings.conf)}"
        self.text = f"nginx:{os.path.realpath(settings.conf)}"
        self._fence = fence
        self._known: Optional[Tuple[Config, Dict[str, Signature]]] = None

    def control(self, clock: Clock) -> Control:
        return Control(self.settings, clock, None, self._fence)

    def glance(self, server: str, backends: Sequence[str], timeout: float) -> Glance:
        """What the files say: whatever was rewritten, the next reload would bring it."""
        config = self._config()
        whole = goes_by_whole(config, [server])
        own = {
            up.name: "maint" if line.entry.down else "ready"
            for up in config.upstreams
            if up.name in backends
            for line, name in zip(up.lines, names(up.lines, whole))
            if name == server
        }
        return Glance(0, 0, own)

    def _config(self) -> Config:
        """The files, read again only if one of them is another."""
        if self._known and signatures(self._known[0].texts) == self._known[1]:
            return self._known[0]
        found = load(self.settings.conf)
        self._known = (found, signatures(found.texts))
        return found

    def change(
        self,
        wish: Wish,
        backends: Sequence[str],
        clock: Clock,
        timeout: float,
        memory: Optional[Dict[str, Found]] = None,
    ) -> Change:
        return Change(self.control(clock), backends, wish, clock, prober(self.settings))

    def anew(self, seen: Glance) -> str:
        return "nginx' files were rewritten without the drain"
