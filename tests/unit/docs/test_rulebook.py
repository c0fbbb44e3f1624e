# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The example of a rulebook, as far as can be told without ansible-rulebook: `make eda`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[3]
NAME = "check_on_reentrant"
PAGE = (ROOT / "docs/check.md").read_text()


def rulesets() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load(
        (ROOT / f"extensions/eda/rulebooks/{NAME}.yml").read_text()
    )
    return found


def test_no_word_of_an_event_gets_to_the_playbook() -> None:
    """Whatever a rule matches is given to its playbook, as variables that Ansible templates."""
    (rules,) = (each["rules"] for each in rulesets())
    heard = [rule for rule in rules if "payload" in str(rule["condition"])]
    assert len(heard) == 2
    assert [rule["action"] for rule in heard] == [
        {"post_event": {"event": {"fleetops": "check"}}}
    ] * 2
    (runs,) = (rule for rule in rules if rule not in heard)
    assert runs["action"] == {"run_playbook": {"name": "fleetops.gunicorn.check"}}
    assert "once_within" in runs["throttle"]


def test_only_who_is_here_and_has_the_token_is_heard() -> None:
    (source,) = (source for each in rulesets() for source in each["sources"])
    webhook = source["eda.builtin.webhook"]
    assert webhook["host"] == "127.0.0.1" and webhook["token"] == "{{ webhook_token }}"


def test_the_page_shows_how_it_is_called() -> None:
    assert f"ansible-rulebook -r fleetops.gunicorn.{NAME} " in PAGE
    assert "GunicornReentrant" in PAGE
