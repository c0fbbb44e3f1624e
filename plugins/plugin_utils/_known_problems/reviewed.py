# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every gunicorn that was looked at, and the verdict: which known problems it brought and cured.

A new gunicorn has no verdict until somebody has read its changes: then it gets an entry here and,
if it brought anything, rows in `table.HAZARDS`. A test compares the two, and one that asks the
index says which version has no entry yet.
"""

from __future__ import annotations

from typing import NamedTuple


class Verdict(NamedTuple):
    """Against the published version before: names of rows."""

    brought: tuple[str, ...] = ()
    cured: tuple[str, ...] = ()


NOTHING = Verdict()

VERDICTS: dict[str, Verdict] = {
    "20.0.0": Verdict(
        ("silent-worker-death", "needs-pkg-resources", "cve-2024-1135", "cve-2024-6827")
    ),
    "20.0.2": NOTHING,
    "20.0.3": NOTHING,
    "20.0.4": NOTHING,
    "20.1.0": Verdict(("reentrant", "arbiter-death"), ("silent-worker-death",)),
    "21.0.0": Verdict(
        ("helpers-taken-for-workers", "recycled-worker-cuts-connections"), ("needs-pkg-resources",)
    ),
    "21.0.1": NOTHING,
    "21.1.0": NOTHING,
    "21.2.0": NOTHING,
    "22.0.0": Verdict(
        ("import-hang-undetected", "underscore-headers-dropped"), ("cve-2024-1135", "cve-2024-6827")
    ),
    "23.0.0": Verdict(("strict-parsing",)),
    "24.0.0": Verdict(
        ("dead-workers-stay-dead", "gthread-pool-exhausted", "reuse-port-queue-cut"),
        ("reentrant", "arbiter-death", "recycled-worker-cuts-connections"),
    ),
    "24.1.0": Verdict((), ("dead-workers-stay-dead",)),
    "24.1.1": NOTHING,
    "25.0.0": Verdict(("dirty-pid-file-believed", "dirty-workers-unseen")),
    "25.0.1": NOTHING,
    "25.0.2": NOTHING,
    "25.0.3": NOTHING,
    "25.1.0": Verdict(("control-thread-before-fork", "control-socket")),
    "25.2.0": Verdict(
        ("reload-leaks", "gthread-waits-for-data", "asgi-cancel-masked"),
        ("gthread-pool-exhausted", "control-thread-before-fork"),
    ),
    "25.3.0": NOTHING,
    "26.0.0": Verdict(("no-eventlet", "strict-targets")),
    "26.1.0": Verdict(
        ("duplicate-headers",), ("helpers-taken-for-workers", "reload-leaks", "asgi-cancel-masked")
    ),
    "26.2.0": NOTHING,
    "27.0.0": Verdict(
        ("strict-uri", "h2-needs-its-package", "asgi-stricter"), ("dirty-pid-file-believed",)
    ),
    "27.0.1": Verdict(("longer-stop",)),
}
