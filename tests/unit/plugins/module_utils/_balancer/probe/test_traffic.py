# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who is connected to a port, from tables on paper."""

import sys

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.probe import traffic
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError

pytestmark = pytest.mark.skipif(sys.byteorder != "little", reason="tables of a little machine")
HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n"
LISTENS = "   0: 00000000:1F40 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 1\n"
# 10.0.0.11:8000 from 10.0.0.9:40000, established.
USER = "   1: 0B00000A:1F40 0900000A:9C40 01 00000000:00000000 00:00000000 00000000 0 0 2\n"
GONE = "   2: 0B00000A:1F40 0900000A:9C41 06 00000000:00000000 00:00000000 00000000 0 0 0\n"
# 10.0.0.11:50000 to 10.0.0.9:8000: the server itself is somebody's client.
AWAY = "   3: 0B00000A:C350 0900000A:1F40 01 00000000:00000000 00:00000000 00000000 0 0 3\n"
MAPPED = (
    "   4: 0000000000000000FFFF00000B00000A:1F40 0000000000000000FFFF00000900000A:9C42 01"
    " 00000000:00000000 00:00000000 00000000 0 0 4\n"
)
TABLE = HEAD + LISTENS + USER + GONE + AWAY + "half a line\n" + MAPPED


def comers(places, ignored=()):
    rows = traffic.parse_table(TABLE, {8000, 443})
    return traffic.comers(
        rows,
        [traffic.parse_place(each) for each in places],
        [traffic.parse_network(each) for each in ignored],
    )


def test_who_is_connected_to_the_port_is_a_user_and_nobody_else():
    assert comers(["8000"]) == {("10.0.0.9", 40000), ("10.0.0.9", 40002)}
    assert comers(["443"]) == frozenset()


@pytest.mark.parametrize(("place", "count"), [("10.0.0.11:8000", 2), ("10.0.0.12:8000", 0)])
def test_a_port_may_be_of_one_address(place, count):
    assert len(comers([place])) == count


@pytest.mark.parametrize("network", ["10.0.0.9", "10.0.0.0/24"])
def test_whom_the_operator_names_does_not_count(network):
    assert comers(["8000"], [network]) == frozenset()
    assert len(comers(["8000"], ["10.0.1.0/24", "::/0"])) == 2


def test_a_port_that_nobody_listens_on_is_told():
    rows = traffic.parse_table(TABLE, {8000, 443})
    places = [traffic.parse_place(each) for each in ("8000", "10.0.0.11:8000", "443", "[::1]:443")]
    told = [place.text for place in traffic.unheard(rows, places)]
    assert told == ["port 443", "[::1]:443"]


@pytest.mark.parametrize("text", ["", "http", "0", "65536", "10.0.0.11", "host:80", "1.2.3:80"])
def test_what_is_no_port_is_refused(text):
    with pytest.raises(FleetError, match="Give a port"):
        traffic.parse_place(text)


def test_what_is_no_network_is_refused():
    with pytest.raises(FleetError, match="no address and no network"):
        traffic.parse_network("10.0.0.9/24")
