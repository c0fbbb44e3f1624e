"""status.yml on a real fleet: one table, whoever cannot be asked."""

from __future__ import annotations

import json
from pathlib import Path


def status(bed, tmp_path: Path, *arguments: str, **inputs: object):
    """Run it; returns the run and what it wrote for programs."""
    file = tmp_path / "status.json"
    run = bed.playbook("status.yml", *arguments, status_file=str(file), **inputs)
    assert run.code in (0, 4), run.text[-4000:]
    return run, json.loads(file.read_text())


def lost(tmp_path: Path, group: str, host: str) -> list[str]:
    extra = tmp_path / "lost.yml"
    extra.write_text(
        f"{group}: {{hosts: {{{host}: {{ansible_connection: ssh, ansible_host: 127.0.0.1,"
        " ansible_port: 1}}}\n"
    )
    return ["-i", "inventories/demo", "-i", str(extra)]


def seen(report) -> dict:
    return {
        host["host"]: [(each["balancer"], each["status"]) for each in host["balancers"]]
        for host in report["hosts"]
    }


def test_every_host_is_a_line_with_what_each_balancer_makes_of_it(bed, tmp_path):
    run, report = status(bed, tmp_path)
    assert run.code == 0
    assert seen(report) == {"web1": [("lb1", "UP")], "web2": [("lb1", "UP")]}
    assert [host["gunicorn"] for host in report["hosts"]] == ["20.0.1", "20.0.1"]
    assert report["lock"]["state"] == "free" and report["error"] == ""
    assert "changed=0" in run.text and "changed=1" not in run.text


def test_a_host_that_cannot_be_reached_is_a_line_all_the_same(bed, tmp_path):
    # The first host is the one whose turn it is where something is done once.
    _run, report = status(bed, tmp_path, *lost(tmp_path, "web", "web1"))
    assert seen(report) == {"web1": [("lb1", "UP")], "web2": [("lb1", "UP")]}
    web1, web2 = report["hosts"]
    assert "Connection refused" in web1["error"] and web2["error"] == ""


def test_a_balancer_that_cannot_be_reached_is_a_question_mark(bed, tmp_path):
    run, report = status(bed, tmp_path, *lost(tmp_path, "lb", "lb1"))
    assert seen(report) == {"web1": [("lb1", None)], "web2": [("lb1", None)]}
    assert "Connection refused" in report["hosts"][1]["balancers"][0]["error"]
    assert [host["gunicorn"] for host in report["hosts"]] == ["20.0.1", "20.0.1"]
    assert "lb1 ?" in run.text


def test_a_server_that_a_balancer_does_not_have_hides_no_other(bed, tmp_path):
    extra = tmp_path / "other.yml"
    extra.write_text("web: {hosts: {web2: {load_balancer_server: web9}}}\n")
    _run, report = status(bed, tmp_path, "-i", "inventories/demo", "-i", str(extra))
    assert seen(report) == {"web1": [("lb1", "UP")], "web2": [("lb1", None)]}
    assert "web9" in report["hosts"][1]["balancers"][0]["error"]
