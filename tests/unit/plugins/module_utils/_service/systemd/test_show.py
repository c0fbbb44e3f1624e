# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The texts in shown/ are what systemd 252 answered in a container, its cgroup's root renamed."""

from pathlib import Path

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._service.systemd import show

SHOWN = Path(__file__).parent / "shown"


def shown(name):
    return show.read_properties((SHOWN / f"{name}.txt").read_text())


def test_a_running_unit_has_a_generation():
    unit = shown("notify")
    show.require_loaded("app.service", unit)
    assert show.generation(unit) == ("4d539c9f3c6e499ba9f3c4ae0a9fcfec", 69, 39570104284)
    assert unit["Environment"] == 'A=1 "B=two words" SECRET_KEY=x'
    assert unit["ControlGroup"] == "/machine/system.slice/app.service"


def test_a_unit_that_died_at_once_has_none_though_it_keeps_its_invocation():
    unit = shown("died")
    assert unit["InvocationID"] == "a76130ec830e4352b9d511ddd9895514"
    assert show.generation(unit) is None
    assert (unit["Result"], unit["ExecMainStatus"]) == ("exit-code", "3")


def test_an_unknown_unit_is_refused_though_systemctl_answered_0():
    with pytest.raises(FleetError, match="'nosuch.service' of systemd is not-found"):
        show.require_loaded("nosuch.service", shown("not_found"))


def test_a_masked_unit_is_refused():
    with pytest.raises(FleetError, match="systemctl unmask app.service"):
        show.require_loaded("app.service", {"LoadState": "masked"})


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("1min 30s", 90), ("5s", 5), ("0", 0), ("1.5s", 1.5), ("infinity", None), ("500ms", 0.5)],
)
def test_spans(text, wanted):
    assert show.seconds(text) == wanted


@pytest.mark.parametrize("text", ["", "soon", "3 parsecs", "5s!"])
def test_a_span_that_cannot_be_read_is_told(text):
    with pytest.raises(FleetError, match="span of time"):
        show.seconds(text)


def test_sockets_are_told_apart_from_timers():
    assert show.sockets({"TriggeredBy": "app.timer app.socket"}) == ("app.socket",)
    assert show.sockets({"TriggeredBy": ""}) == ()
