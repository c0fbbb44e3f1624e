# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a line of an access log tells, and what it does not."""

import re

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.nginx import access_log
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError

SUGGESTED = re.search(r"'(.*)'", access_log.SUGGESTED).group(1)
A, B = "10.0.0.1:8000", "10.0.0.2:8000"
WHERE = {
    A: ("app", A),
    B: ("app", B),
    f"app\0{A}": ("app", A),
    f"app\0{B}": ("app", B),
    f"api\0{A}": ("api", A),
}


def read(line, form=SUGGESTED):
    return access_log.reader_of([form])(line)


def line(
    addr=A, status="200", connect="0.000", header="0.010", took="0.012", own="200", host="app"
):
    return (
        f"2026-11-28T07:00:00+00:00 {host} {own} {addr} {status} {connect} {header} {took}"
        ' "GET / HTTP/1.1"'
    )


def sums(*lines):
    found = access_log.Sums({}, WHERE)
    for each in lines:
        request = read(each)
        assert request, each
        found.add(request)
    return found.counts


def test_one_request():
    counts = sums(line())
    mine = counts[("app", A)]
    assert mine["stot"] == mine["hrsp_2xx"] == mine["rtime_count"] == mine["rtime_le_30"] == 1
    assert mine["rtime_ms"] == 12 and "rtime_le_10" not in mine
    assert counts[("app", "")]["req_tot"] == counts[("app", "")]["hrsp_2xx"] == 1


def test_a_request_that_was_tried_twice():
    counts = sums(
        line(f"{A}, {B}", "502, 200", "-, 0.001", "-, 0.020", "0.000, 0.021"),
        line(f"{A}, {B}", "502, 500", "0.001, 0.001", "-, 0.020", "0.100, 0.021", own="500"),
    )
    assert counts[("app", A)]["econ"] == counts[("app", A)]["eresp"] == 1
    assert "hrsp_5xx" not in counts[("app", A)], "it never answered"
    assert counts[("app", B)]["hrsp_5xx"] == counts[("app", B)]["hrsp_2xx"] == 1
    whole = counts[("app", "")]
    assert (whole["req_tot"], whole["wretr"], whole["hrsp_5xx"], whole["hrsp_2xx"]) == (2, 2, 1, 1)


def test_no_server_left_is_an_error_of_the_upstream_alone():
    counts = sums(line("app", "502", "-", "-", "0.000", own="502"))
    assert list(counts) == [("app", "")] and counts[("app", "")]["hrsp_5xx"] == 1


def test_the_same_server_in_two_upstreams_is_told_by_the_name():
    counts = sums(line(host="api"), line(host="app"), line(host="elsewhere"))
    assert counts[("api", A)]["stot"] == counts[("app", A)]["stot"] == 1


@pytest.mark.parametrize("address", ["[2001:db8::1]:80", "unix:/run/app.sock", "10.0.0.1:80"])
def test_addresses(address):
    assert read(line(address)).attempts[0].address == address
    assert [
        one.address for one in read(line(f"{address}, {B}", "502, 200", took="0.1, 0.2")).attempts
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        line()[:-4],
        line("-"),  # nobody was asked
        line(f"{A}, {B}"),  # two addresses and one status
        line() + " more",
        line(own="2000"),
    ],
)
def test_what_is_no_such_line_counts_nothing(text):
    assert read(text) is None


def test_what_users_write_cannot_be_taken_for_a_field():
    form = '"$request" $upstream_addr $upstream_status $upstream_response_time "$http_user_agent"'
    evil = f"GET /x\\x22 {A} 500 9.000 \\x22 HTTP/1.1"
    found = read(f'"{evil}" {B} 200 0.001 "-"', form)
    assert found.attempts[0].address == B and found.attempts[0].status == 200
    # nginx escapes quotes; a line with a bare one was not written by this format.
    assert read(f'"GET /" {A} 500 9.0 "x" {B} 200 0.001 "-"', form) is None


def test_json_and_braces():
    form = (
        '{"t":"$time_iso8601","a":"${upstream_addr}","s":"$upstream_status",'
        '"r":"$upstream_response_time","q":"$request"}'
    )
    found = access_log.reader_of(["escape=json", form])(
        f'{{"t":"x","a":"{A}","s":"200","r":"0.5","q":"GET / HTTP/1.1"}}'
    )
    assert found.attempts[0].seconds == 0.5 and found.attempts[0].answered is None


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ((access_log.COMBINED,), r"lacks \$upstream_addr, \$upstream_status"),
        (("escape=none", SUGGESTED), "escape=none"),
        (("$upstream_addr$upstream_status$host$uri $upstream_response_time",), "nothing between"),
        ((), "lacks"),
    ],
)
def test_a_format_that_cannot_be_counted_says_why(words, why):
    with pytest.raises(FleetError, match=why):
        access_log.reader_of(words)
