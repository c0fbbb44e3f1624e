# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""docs/log-gate.md says what the catalogue says."""

import os

from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.catalogue import (
    EVENTS,
    WORDINGS,
)

DOCS = os.path.join(os.path.dirname(__file__), "..", "..", "..", "..", "..", "docs", "log-gate.md")
# These are told by others: a SIGTERM among the killed, and addresses taken again and again.
TOLD_BY = {
    "worker_terminated": ("20.1.0 -", "as `worker_killed`, by SIGTERM"),
    "reentrant_elsewhere": ("any", "as `reentrant`, without gunicorn's files in its trace"),
    "child_exited": ("21.0.0 -", "as `worker_exited`, of a pid that never booted as a worker"),
    "restart_loop": ("all", "`connection_in_use` of two arbiters within a minute"),
}


def rows():
    for name, event in EVENTS.items():
        wordings = [wording for wording in WORDINGS if wording.event == name]
        versions = ", ".join(dict.fromkeys(wording.versions for wording in wordings))
        texts = ", ".join(
            dict.fromkeys(f"`{wording.literal.decode().strip()}`" for wording in wordings)
        )
        versions, texts = TOLD_BY.get(name, (versions, texts))
        cells = (f"`{name}`", event.severity, event.tolerance, versions, texts, event.meaning)
        yield "| " + " | ".join(cells) + " |"


def test_the_table_of_events_is_the_catalogue():
    with open(DOCS, encoding="utf-8") as handle:
        text = handle.read()
    table = text.split("<!-- events -->")[1].split("<!-- end -->")[0]
    assert table.strip().splitlines()[2:] == list(rows()), "\n".join(rows())
