# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A real Prometheus scrapes a real fleet, and the gate asks it."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit
from urllib.request import urlopen

import pytest
from conftest import Bed
from test_normal import on, reload

OLD, NEW = "20.0.1", "21.2.0"
SECRET = "Bearer sesame-a1b2c3"
QUICK: dict[str, Any] = {
    "gate_soak": 8,
    "gate_interval": 2,
    "gate_soak_max": 40,
    # So that "before its drain" is a time when Prometheus was there.
    "load_balancer_drain_timeout": 10,
    "service_stop_timeout": 5,
    "rollout_stages": [{"gunicorn": NEW}],
    "rollout_force": True,
}
# A queue that is longer on the new release, or is not.
METRICS = """

@app.route("/metrics")
def metrics():
    length = {new} if gunicorn.__version__ == "21.2.0" else 2
    return "app_queue %d\\n" % length, 200, {{"Content-Type": "text/plain"}}


@app.route("/stats")
def stats():
    return jsonify({{"queue": [{{"length": 2}}]}})
"""
QUERY = 'app_queue{server="{{ inventory_hostname }}"}'


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@pytest.fixture(scope="module")
def prometheus(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Its URL."""
    program = shutil.which("prometheus")
    if not program:
        pytest.skip("there is no prometheus: apt-get install prometheus")
    place = tmp_path_factory.mktemp("prometheus")
    url = f"http://127.0.0.1:{free_port()}"
    (place / "prometheus.yml").write_text(json.dumps(configuration(bed)))
    command = [program, f"--config.file={place / 'prometheus.yml'}"]
    command += [f"--storage.tsdb.path={place / 'data'}", f"--web.listen-address={url[7:]}"]
    with (place / "log").open("w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, cwd=place)
    try:
        wait_for(url, "vector(1)", server, place / "log")
        yield url
    finally:
        server.terminate()
        server.wait(timeout=30)


def configuration(bed: Bed) -> dict[str, Any]:
    jobs = [
        {
            "targets": [urlsplit(bed.state["hosts"][host]["health_url"]).netloc],
            "labels": {"server": host},
        }
        for host in ("web1", "web2")
    ]
    return {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
        "scrape_configs": [{"job_name": "app", "static_configs": jobs}],
    }


def wait_for(
    url: str, query: str, server: subprocess.Popen[bytes] | None, log: Path | None
) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert server is None or server.poll() is None, log.read_text() if log else ""
        try:
            with urlopen(f"{url}/api/v1/query?{urlencode({'query': query})}", timeout=5) as answer:
                if json.load(answer)["data"]["result"]:
                    return
        except OSError:
            pass
        time.sleep(0.3)
    pytest.fail(f"Prometheus does not answer {query}")


@contextmanager
def measured(bed: Bed, prometheus: str, new: int) -> Iterator[None]:
    """Applications that tell of their queue, ``new`` on the new release and 2 on the old one."""
    whole = {host: (bed.home(host) / "app.py").read_text() for host in ("web1", "web2")}
    try:
        for host, text in whole.items():
            (bed.home(host) / "app.py").write_text(text + METRICS.format(new=new))
            reload(bed, host)
            wait_for(prometheus, f'app_queue{{server="{host}"}}', None, None)
        yield
    finally:
        for host, text in whole.items():
            (bed.home(host) / "app.py").write_text(text)
            reload(bed, host)


def metric(
    prometheus: str, name: str, rule: str, query: str = QUERY, **more: Any
) -> dict[str, Any]:
    source = {"url": prometheus, "query": query}
    return {"name": name, "prometheus": source, "rule": rule, **more}


def test_a_wrong_query_is_refused_before_anything_is_touched(bed: Bed, prometheus: str) -> None:
    before = bed.fingerprint()
    wrong = metric(
        prometheus, "wrong", "under", "rate(app_queue", limit=3, headers={"Authorization": SECRET}
    )
    ended = bed.playbook("upgrade.yml", "-l", "web1", "-vvv", **QUICK, gate_metrics=[wrong])
    assert ended.code == 2, ended.text
    assert "wrong: HTTP 400: invalid parameter" in ended.words, ended.text
    assert "Nothing is touched" in ended.words
    assert "Metrics in each soak: wrong under 3" in ended.words
    assert SECRET.split()[1] not in ended.text.replace(json.dumps(wrong), "")
    assert bed.fingerprint() == before


def test_a_release_whose_metric_is_worse_is_taken_back(bed: Bed, prometheus: str) -> None:
    beside = metric(prometheus, "queue", "no_worse_than_beside")
    with measured(bed, prometheus, 9):
        ended = bed.playbook("upgrade.yml", "-l", "web1", **QUICK, gate_metrics=[beside])
    assert ended.code == 2, ended.text
    assert "metric queue is 9, web2 beside it 2" in ended.words, ended.text
    assert "as before, healthy and back in service" in ended.words, ended.text
    assert on(bed) == {"web1": OLD, "web2": OLD}


def test_a_release_whose_metrics_are_as_before_passes(bed: Bed, prometheus: str) -> None:
    page = bed.state["hosts"]["web1"]["health_url"].replace("/healthz", "/stats")
    metrics = [
        metric(prometheus, "past", "no_worse_than_before"),
        metric(prometheus, "beside", "no_worse_than_beside"),
        metric(prometheus, "peak", "under", f"max_over_time({QUERY}[3s])", limit=3),
        {
            "name": "page",
            "http_json": {"url": page, "path": "queue.0.length"},
            "rule": "under",
            "limit": 3,
        },
    ]
    with measured(bed, prometheus, 2):
        ended = bed.playbook("upgrade.yml", **QUICK, gate_metrics=metrics)
        assert ended.code == 0, ended.text
        assert on(bed) == {"web1": NEW, "web2": NEW}
        back = bed.playbook("rollback.yml", **QUICK, gate_metrics=metrics)
        assert back.code == 0, back.text
    assert on(bed) == {"web1": OLD, "web2": OLD}
