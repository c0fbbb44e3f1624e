# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a real HAProxy counts, turned into windows of the canary analysis."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.canary.balancer import (
    windows_from_looks,
)
from balancer_support import App, Haproxy, Run, get, haproxy, haproxy_param

pytestmark = haproxy_param()

BACKEND = """
backend app
  balance roundrobin
  server web1 127.0.0.1:{web1} check
  server web2 127.0.0.1:{web2} check
"""


def look(balancer: Haproxy) -> dict[str, Any]:
    found = Run("haproxy_server_info", socket=balancer.socket(), backends=["app"]).result()
    return {"at": time.time(), "balancers": [{**found, "item": "lb1"}]}


def send(balancer: Haproxy, path: str, count: int) -> float:
    """Send requests, eight at a time; the mean time in ms as the clients saw it."""

    def one(_number: int) -> float:
        begun = time.perf_counter()
        assert get(balancer.port, path).startswith("200")
        return 1000 * (time.perf_counter() - begun)

    with ThreadPoolExecutor(8) as pool:
        return sum(pool.map(one, range(count))) / count


def test_requests_and_times_of_a_window_are_those_that_were_sent(
    binary: str, tmp_path: Path
) -> None:
    apps = [App("web1"), App("web2")]
    try:
        backend = BACKEND.format(web1=apps[0].port, web2=apps[1].port)
        with haproxy(binary, tmp_path, backend) as balancer:
            balancer.wait_up("app/web1", "app/web2")
            # Beyond its first 512 requests HAProxy forgets slowly; that is what is put to the test.
            send(balancer, "/", 1200)
            looks = [look(balancer)]
            slow = send(balancer, "/work", 300)
            looks.append(look(balancer))
            (window,) = windows_from_looks(looks, ["web1"], ["web2"])
            for arm in (window.canary, window.baseline):
                assert (arm.requests, arm.errors, arm.connection_errors) == (150, 0, 0)
                assert arm.time_ms is not None
                assert abs(arm.time_ms - slow) < 8 + 0.15 * slow
            read = looks[1]["balancers"][0]["backends"][0]["servers"][0]["counters"]["ttime"]
            assert read < window.canary.time_ms

            balancer.reload()
            balancer.wait_up("app/web1", "app/web2")
            send(balancer, "/", 20)
            looks.append(look(balancer))
            after = windows_from_looks(looks, ["web1"], ["web2"])[1]
            assert (after.canary.requests, after.baseline.requests) == (10, 10)
            # What no stats-file brings along: by it a process is told that took its counters over.
            own = [each["balancers"][0]["node"]["requests"] for each in looks]
            assert own[0] >= 1200 and own[1] >= own[0] + 300 and 20 <= own[2] < 300
    finally:
        for app in apps:
            app.stop()
