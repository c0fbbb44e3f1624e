# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What was compared with what, in one sentence. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._few import few
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.normal import Count, Measure
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._times import span

_REQUESTS = {
    "http_5xx": "of {of} answers 5xx",
    "connection_errors": "connection errors in {of} requests",
}


def measure_words(measure: Measure, others: Sequence[str], verdict: str) -> str:
    """``7 of 612 answers 5xx (1.1 %), web1 beside it 6 of 598 (1.0 %): as before``.

    ``others``: the servers over the same time. What is not known is not named.
    """
    parts = [_mine(measure)]
    if measure.same is not None:
        which = ", passed before," if measure.passed else " beside it"
        parts.append(f"{few(others, 3)}{which} {_theirs(measure.name, measure.same.normal)}")
    if measure.assumed and measure.past is not None:
        usual = _theirs(measure.name, measure.past.normal)
        parts.append(f"of which no log could have told before, so that {usual} is taken for usual")
    elif measure.past is not None and (measure.same is None or measure.passed or _is_log(measure)):
        parts.append(f"before its drain {_theirs(measure.name, measure.past.normal)}")
    if len(parts) == 1 and measure.mine.events:
        parts.append("with nothing to compare it with")
    return f"{', '.join(parts)}: {verdict}"


def _is_log(measure: Measure) -> bool:
    return measure.name not in _REQUESTS


def _mine(measure: Measure) -> str:
    mine = measure.mine
    if _is_log(measure):
        return f"{mine.events} {measure.name.replace('_', ' ')} in {span(3600 * mine.of)}"
    words = _REQUESTS[measure.name].format(of=f"{mine.of:.0f}")
    return f"{mine.events} {words}{_rate(mine)}"


def _theirs(name: str, count: Count) -> str:
    if name not in _REQUESTS:
        return f"{count.events} in {span(3600 * count.of)}"
    return f"{count.events} of {count.of:.0f}{_rate(count)}"


def _rate(count: Count) -> str:
    if not count.of:
        return ""
    percent = 100 * count.events / count.of
    digits = f"{percent:.1f}" if percent >= 0.1 or not count.events else f"{percent:.2g}"
    return f" ({digits} %)"
