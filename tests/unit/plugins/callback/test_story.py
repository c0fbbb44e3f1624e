# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The second lock: whatever reaches the callback, a terminal gets nothing but text.

The texts come from modules that are not ours too (a hook's command, a module that broke down).
"""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest
from ansible import context
from ansible.utils.display import Display
from ansible_collections.fleetops.gunicorn.plugins.callback.story import CallbackModule

CLEAR = "\x1b[2J\x1b[H\x1b]0;all is well\x07"
HOSTILE = f"{CLEAR}\x9b2Jfailed\rDone.\u202e\x85\u2028STOPPED"
# Ansible's own colours.
COLOURS = re.compile(r"\x1b\[(?:0|[01];3\d)m")


@pytest.fixture(name="play")
def _play(monkeypatch, tmp_path):
    monkeypatch.setattr(context, "CLIARGS", {"check": False, "subset": None, "verbosity": 0})
    options = {
        "heartbeat": 0,
        "report_directory": str(tmp_path / "reports"),
        "report_keep": 3,
        "result_format": "json",
        "result_indentation": 4,
        "result_yaml_line_width": "default",
        "pretty_results": None,
        "display_skipped_hosts": True,
        "display_failed_stderr": False,
        "display_ok_hosts": True,
        "show_per_host_start": False,
        "check_mode_markers": False,
        "show_custom_stats": False,
        "show_task_path_on_failure": False,
    }
    callback = CallbackModule()
    callback._plugin_options = options
    monkeypatch.setattr(callback, "get_option", options.get)
    monkeypatch.setattr(callback, "set_option", options.__setitem__)
    return callback


@pytest.fixture(name="loud")
def _loud(monkeypatch):
    monkeypatch.setattr(Display(), "verbosity", 3)


def result(told, action="ansible.builtin.command", name="web1"):
    task = SimpleNamespace(
        get_name=lambda: "role : take | Do",
        action=action,
        resolved_action=action,
        args={},
        check_mode=False,
        ignore_unreachable=False,
        no_log=False,
        loop=None,
        diff=True,
        _uuid="1",
        get_path=lambda: "",
        delegate_to=None,
        run_once=False,
        ignore_errors=False,
    )
    host = SimpleNamespace(get_name=lambda: name, name=name)
    return SimpleNamespace(
        _host=host,
        _task=task,
        _result=told,
        host=host,
        task=task,
        result=told,
        is_changed=lambda: True,
        task_name="take | Do",
        _task_fields={},
        _return_data=told,
    )


def stats(failures=(), dark=()):
    return SimpleNamespace(
        failures=dict.fromkeys(failures, 1),
        dark=dict.fromkeys(dark, 1),
        processed={"web1": 1},
        custom={},
        ok={},
        summarize=lambda host: dict.fromkeys(
            ("ok", "changed", "unreachable", "failures", "skipped", "rescued", "ignored"), 0
        ),
    )


def harmless(text):
    plain = COLOURS.sub("", text).replace("\n", "")
    assert plain.isprintable(), repr(plain)
    return text


def whole(capsys):
    out, err = capsys.readouterr()
    return harmless(out + err)


def test_the_story_of_a_failure_and_its_last_words(play, capsys):
    play.v2_runner_on_failed(result({"msg": HOSTILE, "module_stderr": HOSTILE, "failed": True}))
    play.v2_playbook_on_stats(stats(["web1"]))
    said = whole(capsys)
    assert "\\x1b[2J" in said and "\\u202e" in said
    assert said.rstrip().splitlines()[-1].startswith("F-")


def test_what_is_said_and_the_looks_of_a_soak(play, capsys):
    play.v2_runner_on_ok(result({"msg": HOSTILE}, "ansible.builtin.debug"))
    look = result({"msg": HOSTILE}, "ansible.builtin.debug")
    look._task.get_name = lambda: "role : soak_look | Say"
    play.v2_runner_on_ok(look)
    assert "\\x9b2J" in whole(capsys)


def test_a_host_that_cannot_be_reached_and_one_whose_name_is_odd(play, capsys):
    play.v2_runner_on_unreachable(result({"msg": HOSTILE, "unreachable": True}, name=HOSTILE))
    play.v2_playbook_on_stats(stats(dark=[HOSTILE]))
    assert "CANNOT BE REACHED" in whole(capsys)


@pytest.mark.parametrize("kind", ["json", "yaml"])
def test_with_more_words_too(play, capsys, loud, kind):
    play.set_option("result_format", kind)
    told = {"msg": HOSTILE, "stdout": HOSTILE, "stderr": HOSTILE, "exception": HOSTILE}
    diff = {"diff": {"before": HOSTILE, "after": "x" + HOSTILE}, "changed": True}
    play.v2_runner_on_ok(result(dict(told)))
    play.v2_runner_on_failed(result({**told, "failed": True}))
    play.v2_runner_item_on_ok(result({**told, "item": HOSTILE, "_ansible_item_label": HOSTILE}))
    play.v2_runner_item_on_failed(result({**told, "item": HOSTILE, "_ansible_item_label": HOSTILE}))
    play.v2_on_file_diff(result(dict(diff)))
    play.v2_runner_retry(result({**told, "attempts": 1, "retries": 3, "_ansible_retry": True}))
    assert "x1b[2J" in whole(capsys)


def test_lines_of_others_do_not_stand_where_ours_do(play, capsys):
    """Whatever an application writes on a line of its own, only the last line is the last word."""
    forged = "it failed\nDone.\nSTOPPED, since web9: F-NONE"
    play.v2_runner_on_failed(result({"msg": forged, "failed": True}))
    play.v2_playbook_on_stats(stats(["web1"]))
    lines = whole(capsys).splitlines()
    assert "Done." not in lines
    last = [line for line in lines if line.startswith("STOPPED")]
    assert last == ["STOPPED, since web1 failed: take | Do: it failed"]


def test_a_module_that_broke_down_tells_no_secret(play, capsys):
    broken = {"msg": "MODULE FAILURE", "module_stderr": "x " * 2000 + "password=hunter2 at the end"}
    play.v2_runner_on_failed(result({**broken, "failed": True}))
    said = whole(capsys)
    assert "at the end" in said and "hunter2" not in said
