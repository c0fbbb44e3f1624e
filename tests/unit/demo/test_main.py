# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The front door: what it accepts and how it refuses."""

import argparse

import pytest

from demo.__main__ import main, on_off, one_of


@pytest.mark.parametrize(("text", "on"), [("true", True), ("False", False), ("no", False)])
def test_drain_is_on_or_off(text: str, on: bool) -> None:
    assert on_off(text) is on


@pytest.mark.parametrize("text", ["", "flase", "2"])
def test_anything_else_is_refused(text: str) -> None:
    # `make demo DRAIN=flase` must not run the safe variant and call it a control.
    with pytest.raises(argparse.ArgumentTypeError, match="true or false"):
        on_off(text)


def test_unknown_manager_is_refused_with_those_that_there_are() -> None:
    assert one_of("MANAGER", ["supervisord", "systemd"])("systemd") == "systemd"
    with pytest.raises(argparse.ArgumentTypeError, match="supervisord or systemd, not 'runit'"):
        one_of("MANAGER", ["supervisord", "systemd"])("runit")


@pytest.mark.parametrize("words", [["--manager", "runit"], ["--balancer", ""]])
def test_bad_part_ends_the_demo_before_it_begins(words: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["run", *words])
    assert ended.value.code == 2


def test_busy_demo_is_told_and_not_traced(
    tmp_path: object, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DEMO_ROOT", f"{tmp_path}/with space")
    assert main(["up"]) == 1
    assert capsys.readouterr().err.startswith("demo: The demo cannot run in")
