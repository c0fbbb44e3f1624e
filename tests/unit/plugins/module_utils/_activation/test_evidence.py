# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from ansible_collections.fleetops.gunicorn.plugins.module_utils._activation import evidence


def test_digest_keeps_the_reasons():
    log = (
        "[1] Booting\n[1] Exception in worker process\nTraceback (most recent call last):\n"
        + "".join(f'  File "x{n}"\n    call{n}()\n    ~~~~^^\n' for n in range(50))
        + "RuntimeError: TOKEN=abc\n" + "same\n" * 99 + "last\n"
    )  # fmt: skip
    assert evidence.digest(log) == [
        "[1] Booting",
        "[1] Exception in worker process",
        "Traceback (most recent call last):",
        '  File "x49"',
        "    call49()",
        "RuntimeError: TOKEN=***",
        "same",
        "last",
    ]
    assert len(evidence.digest("\n".join(str(n) for n in range(99)))) == 30
    assert evidence.digest("") == []


def test_one_voice_says_how_to_go_on():
    left = evidence.left("supervisord", "23-new", "21-old", "app", "BACKOFF", True)
    assert left.endswith("(BACKOFF) for you to look at; to go back, activate 21-old.")
    assert evidence.left("supervisord", "23-new", "21-old", "app", "BACKOFF", False) == (
        "Release 23-new is switched on, and supervisord calls app BACKOFF."
    )
