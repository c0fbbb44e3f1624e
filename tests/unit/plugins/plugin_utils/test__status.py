from __future__ import annotations

from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._status import status_table

WEB1 = {
    "inventory_hostname": "web1",
    "_service_info": {
        "program": {"state": "RUNNING"},
        "arbiter": {"gunicorn": "23.0.0", "python": "3.11.7", "started": 0.0},
        "workers": [{}, {}],
        "venv": {"kind": "symlink", "release": "23.0.0-py3.11-1a2b3c4d"},
    },
    "_load_balancer_result": {"results": [{"item": "lb1", "servers": [{"status": "UP"}]}]},
}


def test_a_host_is_one_line():
    header, line = status_table([WEB1])
    assert header.split()[:3] == ["host", "in", "rotation"]
    assert " ".join(line.split()) == (
        "web1 lb1 UP 23.0.0 3.11.7 23.0.0-py3.11-1a2b3c4d 1970-01-01 00:00:00Z 2 RUNNING"
    )
    assert header.index("gunicorn") == line.index("23.0.0")


def test_a_host_that_cannot_be_asked_is_shown_with_the_reason():
    lost = {"inventory_hostname": "web2", "_service_info": {"msg": "ssh: timed out"}}
    line = status_table([WEB1, lost])[2]
    assert line.startswith("web2")
    assert "ssh: timed out" in line


def test_a_host_that_we_never_touched_has_no_release():
    legacy = {**WEB1, "_service_info": {**WEB1["_service_info"], "venv": {"kind": "directory"}}}
    assert "(directory)" in status_table([legacy])[1]


def test_a_balancer_that_cannot_be_asked_is_a_question():
    blind = {**WEB1, "_load_balancer_result": {"results": [{"item": "lb1", "msg": "refused"}]}}
    assert "lb1 ?" in status_table([blind])[1]


def test_a_lease_tells_when_the_balancer_puts_the_server_back():
    lease = {"until": 1000.0, "seconds_left": 539.6, "pid": 7}
    out = {"item": "lb1", "servers": [{"status": "DRAIN"}], "lease": lease}
    line = status_table([{**WEB1, "_load_balancer_result": {"results": [out]}}])[1]
    assert "lb1 DRAIN (back in 540 s)" in line
