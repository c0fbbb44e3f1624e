# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Plain data from a playbook into typed data, or an error for the operator."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.canary.model import (
    RULES,
    Arm,
    Rule,
    Settings,
    Window,
)


def read_windows(windows: Sequence[Window | Mapping[str, Any]]) -> list[Window]:
    """Turn plain data into windows; every mistake is an error that names the place."""
    found = []
    for number, raw in enumerate(windows, 1):
        window = raw if isinstance(raw, Window) else _read_window(raw, number)
        if not 0 <= window.seconds < math.inf:
            raise FleetError(
                f"Window {number} of the canary analysis lasts {window.seconds} seconds. Give the"
                " looks in the order of time."
            )
        for side in ("canary", "baseline"):
            for key, value in getattr(window, side)._asdict().items():
                if value is not None and not (0 <= value < math.inf):
                    raise FleetError(
                        f"Window {number} of the canary analysis: {key} of the {side} is {value}. A"
                        " delta of a counter cannot be negative; the counter was reset within the"
                        " window (was the balancer reloaded?). Begin a new window at the reset."
                    )
        found.append(window)
    return found


def _read_window(raw: Mapping[str, Any], number: int) -> Window:
    place = f"Window {number} of the canary analysis"
    _known(raw, Window._fields, place)
    seconds = _number(raw.get("seconds"), f"{place}: seconds")
    arms = []
    for side in ("canary", "baseline"):
        values = raw.get(side) or {}
        _known(values, Arm._fields, f"{place}: the {side}")
        read: dict[str, Any] = {}
        for key, value in values.items():
            if value is None:
                continue
            number_read = _number(value, f"{place}: {key} of the {side}")
            whole = key not in ("server_seconds", "time_ms")
            if whole and number_read != int(number_read):
                raise FleetError(f"{place}: {key} of the {side} is {value}, not a whole number.")
            read[key] = int(number_read) if whole else number_read
        arms.append(Arm(**{"server_seconds": seconds, **read}))
    return Window(seconds, *arms)


def read_settings(raw: Settings | Mapping[str, Any] | None) -> Settings:
    """Turn plain data into settings; what is not named keeps its default, also within a rule."""
    if isinstance(raw, Settings):
        settings = raw
    else:
        _known(raw or {}, Settings._fields, "The settings of the canary analysis")
        given = dict(raw or {})
        rules = given.pop("rules", None)
        for key, value in given.items():
            number = _number(value, f"The setting {key} of the canary analysis")
            given[key] = int(number) if isinstance(Settings._field_defaults[key], int) else number
        settings = Settings(**given)
        if rules is not None:
            settings = settings._replace(rules=dict(_read_rules(rules)))
    _check(settings)
    return settings


def _read_rules(raw: Mapping[str, Any]) -> Iterator[tuple[str, Rule]]:
    _known(raw, tuple(RULES), "The rules of the canary analysis")
    for name, values in raw.items():
        if isinstance(values, Rule):
            yield name, values
            continue
        _known(values or {}, Rule._fields, f"The rule {name} of the canary analysis")
        read: dict[str, Any] = {
            key: bool(value) if key == "required" else _number(value, f"The rule {name}: {key}")
            for key, value in (values or {}).items()
        }
        yield name, RULES[name]._replace(**read)


def _check(settings: Settings) -> None:
    def insist(holds: bool, text: str) -> None:
        if not holds:
            raise FleetError(f"Settings of the canary analysis: {text}")

    for name in ("false_alarm", "false_alarm_rollout", "missed", "power"):
        value = getattr(settings, name)
        insist(0 < value < 1, f"{name} is {value}; give a probability between 0 and 1.")
    insist(0 < settings.early < 1, f"early is {settings.early}; give a share between 0 and 1.")
    insist(settings.gates >= 1, f"gates is {settings.gates}; a rollout has at least one.")
    insist(
        1 <= settings.look <= settings.looks,
        f"look {settings.look} of {settings.looks}; the plan of looks must hold this one. A gate"
        " that is extended is one more gate.",
    )
    insist(settings.burst >= 1, f"burst is {settings.burst}; give 1 or more.")
    insist(settings.time_block >= 1, f"time_block is {settings.time_block}; give 1 or more.")
    insist(settings.time_floor_ms >= 0, "time_floor_ms is negative.")
    total = math.fsum(rule.weight for rule in settings.rules.values())
    insist(
        total <= 1 + 1e-9 and all(rule.weight > 0 for rule in settings.rules.values()),
        f"the weights of the rules sum to {total:g}; each must be above 0 and all at most 1.",
    )
    insist(bool(settings.rules), "there is no rule, so nothing to judge.")
    for name, rule in settings.rules.items():
        insist(
            rule.change > max(0.0, rule.tolerance) and rule.tolerance >= (name == "times"),
            f"rule {name}: tolerance {rule.tolerance:g}, change {rule.change:g}; the change to be"
            " ruled out must be above what is tolerated"
            + (", and ratios of times are at least 1." if name == "times" else "."),
        )


def _known(values: Any, names: Sequence[str], place: str) -> None:
    if not isinstance(values, Mapping):
        raise FleetError(
            f"{place}: got {str(values)[:80]!r}. Give a mapping of {', '.join(names)}."
        )
    strange = sorted(str(key) for key in values if key not in names)
    if strange:
        raise FleetError(f"{place}: unknown {', '.join(strange[:5])}. Known: {', '.join(names)}.")


def _number(value: Any, place: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise FleetError(f"{place} is {str(value)[:80]!r}. Give a number.")
    return number
