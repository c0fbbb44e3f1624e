# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`drain` is written where nginx heeds it, and nowhere else."""

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.nginx.bound import (
    first_word,
)


@pytest.mark.parametrize(
    ("version", "sticky", "word"),
    [
        ("1.29.6", "sticky", "drain"),
        ("1.30.0", "sticky", "drain"),
        ("1.31.3", "sticky", "drain"),
        ("1.29.5", "sticky", "down"),
        ("1.22.1", "sticky", "down"),
        ("1.9.13", "sticky", "down"),
        ("", "sticky", "down"),
        ("stable", "sticky", "down"),
        ("1.31.3", "", "down"),
        ("1.31.3", "ip_hash", "down"),
        ("1.31.3", "hash", "down"),
    ],
)
def test_first_word(version, sticky, word):
    assert first_word(version, sticky) == word
