# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A `server` is taken out and put back, and its file is byte for byte as before."""

import itertools

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.nginx import mark
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.nginx.config import plain
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.nginx.syntax import parse

WRITTEN = [
    "server 10.0.0.1:80;",
    "server 10.0.0.1:80 ;\n",
    "server\n  10.0.0.1:80\n  weight=5\n  ;  # the first\n",
    "server 10.0.0.1:80 weight=5 max_fails=3; server 10.0.0.2:80;",
    'server "10.0.0.1:80" weight=100; # why not\n}',
    "server unix:/run/a.sock max_fails=0 backup;\n",
    "server [2001:db8::1]:80 weight=01 # not ; here\n fail_timeout=5s;",
    "server a.example.com:8000 resolve;\r\nserver b;",
]


def change(text, down, weight=0):
    found = parse(text.replace("}", ""))[0]
    return mark.spliced(text, mark.splices(text, found, down, weight))


def entry(text):
    return mark.read(text, parse(text.replace("}", ""))[0])


@pytest.mark.parametrize("text", WRITTEN)
def test_out_and_back_is_as_it_was(text):
    out = change(text, True)
    assert entry(out).down and entry(out).own and not entry(text).down
    assert change(out, True) == out, "once is enough"
    assert change(out, False) == text
    assert plain(out.replace("}", "")) == text.replace("}", "")


@pytest.mark.parametrize("text", WRITTEN)
def test_every_way_through_shares_of_a_weight_leads_back(text):
    full = entry(text).full
    steps = [(True, 0), (False, 7), (True, 0), (False, 30), (False, 0)]
    for order in itertools.permutations(steps, 3):
        now = text
        for down, weight in order:
            now = change(now, down, weight)
            assert entry(now).full == full
            assert entry(now).down == down
            assert not weight or entry(now).weight == weight
            assert plain(now.replace("}", "")) == text.replace("}", "")
        assert change(now, False, full) == text


def test_what_somebody_else_took_out_stays_out():
    text = "server 10.0.0.1:80 down;\n"
    assert entry(text).down and not entry(text).own
    assert change(text, True) == text
    assert change(text, False) == text
    weighed = change(text, False, 3)
    assert entry(weighed).down and not entry(weighed).own
    assert change(weighed, False, 1) == text


def test_what_is_behind_it_on_the_line_is_not_swallowed():
    out = change("server a; server b;", True)
    assert [each.values[0] for each in parse(out)] == ["a", "b"]
    assert out == "server a down; # fleetops.gunicorn: down\n server b;"


@pytest.mark.parametrize(
    "behind",
    [" # fleetops.gunicorn: up\n", " # fleetops.gunicorn: down", "  # fleetops.gunicorn: down\n"],
)
def test_a_comment_that_is_not_exactly_ours_says_nothing(behind):
    assert entry(f"server a down;{behind}").mark == mark.NONE


@pytest.mark.parametrize("text", WRITTEN)
def test_first_for_all_but_its_own_users_and_then_for_all(text):
    found = parse(text.replace("}", ""))[0]
    first = mark.spliced(text, mark.splices(text, found, True, word="drain"))
    assert (entry(first).word, entry(first).own) == ("drain", True)
    assert "fleetops.gunicorn: drain\n" in first
    assert change(first, False) == text
    assert plain(first.replace("}", "")) == text.replace("}", "")
    second = change(first, True)
    assert second == change(text, True)
    again = parse(second.replace("}", ""))[0]
    assert mark.splices(second, again, True, word="drain") == [], "never back to drain"
    assert change(second, False) == text


def test_drain_by_somebody_else_is_out_and_left():
    text = "server a drain;\n"
    assert (entry(text).down, entry(text).out, entry(text).own) == (True, 2, False)
    assert change(text, True) == text == change(text, False)
    # The last word is what nginx heeds.
    assert entry("server a drain down;\n").out == 1
