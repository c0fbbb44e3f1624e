# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._few import few


def test_a_few_names_are_all_of_them():
    assert few([]) == ""
    assert few(["web1"]) == "web1"
    assert few([1, 2], most=2) == "1, 2"


def test_of_a_thousand_there_are_a_dozen_and_a_count():
    text = few(f"web{number}" for number in range(1, 1000))
    assert text.startswith("web1, web2, ")
    assert text.endswith("web12 and 987 more")
