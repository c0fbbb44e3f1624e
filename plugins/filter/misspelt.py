# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a variable is one of ours but for its spelling, for internal use by our roles."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

# "rollout_wave" for "rollout_waves", "gate_soaks" for "gate_soak"; not "app_name" for "app_home".
_ALIKE = 0.88


def misspelt(names: Iterable[str], specs: Mapping[str, Any]) -> str:
    """Name the variables that nobody reads and that look like one that is read.

    ``specs`` is the content of ``roles/settings/meta/argument_specs.yml``. Empty if there is
    nothing to say.
    """
    ours = set(specs["argument_specs"]["validate"]["options"])
    told = []
    for name in sorted(set(names) - ours):
        alike = get_close_matches(name, sorted(ours), n=1, cutoff=_ALIKE)
        if alike:
            told.append(f"{name} is set, and nothing reads it: is it {alike[0]}?")
    return " ".join(told)


class FilterModule:
    """Register the filter; the underscore says that it is internal."""

    def filters(self) -> dict[str, Any]:
        """Return the filter by its name."""
        return {"_misspelt": misspelt}
