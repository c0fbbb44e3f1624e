# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""docs/variables.md says what roles/settings declares. When this fails: `make variables`."""

import re

import pytest

from docs import variables

PAGE = variables.PAGE.read_text()


def test_the_page_is_written_from_what_is_declared():
    assert variables.page(PAGE, variables.options()) == PAGE, "run `make variables`"


def test_a_new_variable_makes_it_red():
    more = {**variables.options(), "gate_new": {"type": "int", "default": 1, "description": "New."}}
    assert variables.page(PAGE, more) != PAGE


def test_every_variable_has_its_entry_and_no_other():
    told = re.findall(r"(?m)^### `(\w+)`$", PAGE)
    assert sorted(told) == sorted(variables.options())
    assert len(told) == len(set(told))


def test_no_markup_of_ansible_is_left():
    assert not re.search(r"\b(?:[CVOMP]|RV)\(", PAGE.partition(variables.BEGIN)[2])


def test_a_variable_of_a_new_kind_has_a_section_too():
    option = {"hook_before": {"type": "str", "default": "", "description": "Runs V(x)."}}
    told = variables.render(option)
    assert "## `hook_`\n\n### `hook_before`\n\nstr; empty.\n\nRuns `x`.\n" in told


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("V(none) or O(gate_soak)", "`none` or `gate_soak`"),
        (r"C(a\)b)", "`a)b`"),
        ("P(ansible.builtin.default#callback)", "`ansible.builtin.default`"),
        ("L(here, https://e.x/a) and B(loud)", "[here](https://e.x/a) and **loud**"),
        ("counted in MiB (not MB)", "counted in MiB (not MB)"),
    ],
)
def test_markup_becomes_markdown(written, read):
    assert variables.plain(written) == read


def test_links_within_the_page_lead_somewhere():
    anchors = {name.replace("`", "") for name in re.findall(r"(?m)^##+ (.*)$", PAGE)}
    anchors = {anchor.lower().replace(" ", "-") for anchor in anchors}
    assert set(re.findall(r"\]\(#([^)]+)\)", PAGE)) <= anchors
