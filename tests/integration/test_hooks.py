"""What the operator wants done at the points of a run, and who is told of it."""

from __future__ import annotations

import http.server
import json
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Bed

STAGES = [{"gunicorn": "21.2.0"}]
QUICK = {"gate_soak": 1, "gate_interval": 1, "rollout_stages": STAGES}
ALL = [
    "before_trial",
    "after_trial",
    "before_run",
    "before_drain",
    "before_switch",
    "after_switch",
    "after_restore",
    "after_soak",
    "after_run",
]
SECRET = "planted-webhook-token"


def upgrade(bed: Bed, **inputs: object):
    return bed.playbook("upgrade.yml", "-l", "web1", **{**QUICK, **inputs})


def note(file: Path, at: str, **more: object) -> dict[str, object]:
    """A hook that writes down what it was told."""
    words = '"$ROLLOUT_HOOK $ROLLOUT_HOST $ROLLOUT_ACTION $ROLLOUT_GUNICORN"'
    return {"at": at, "name": at, "command": ["sh", "-c", f"echo {words} >> {file}"], **more}


def breaks(at: str, **more: object) -> dict[str, object]:
    words = "echo password=planted-in-a-hook; echo the cache is cold; exit 3"
    return {"at": at, "name": "ours", "command": ["sh", "-c", words], **more}


@pytest.fixture
def listener() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """An address that takes what is posted, and what it got."""
    got: list[dict[str, Any]] = []

    class Listens(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            got.append(json.loads(self.rfile.read(length)))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_words: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Listens)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/{SECRET}", got
    server.shutdown()
    server.server_close()


@pytest.fixture
def mute() -> Iterator[str]:
    """An address that takes the connection and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/{SECRET}"


def test_what_cannot_be_done_is_refused_by_name_and_nothing_is_touched(bed: Bed) -> None:
    before = bed.fingerprint()
    refused = upgrade(bed, rollout_hooks=[breaks("before_rollback")])
    assert refused.code == 2, refused.text
    assert "Hook ours of rollout_hooks is at before_rollback: say on_failure: warn" in refused.words
    refused = upgrade(bed, rollout_hooks=[{"at": "before_lunch", "name": "x", "command": ["true"]}])
    assert refused.code == 2 and "before_lunch" in refused.words, refused.text
    refused = upgrade(bed, rollout_notify=[{"name": "chat", "url": f"ftp://h/{SECRET}"}])
    assert refused.code == 2, refused.text
    assert "chat of rollout_notify needs url, from http:// or https:// on" in refused.words
    assert bed.fingerprint() == before


def test_a_hook_before_the_switch_stops_it_and_the_release_is_not_blamed(
    bed: Bed, mute: str
) -> None:
    notify = [{"name": "the mute", "url": mute}]
    stopped = upgrade(bed, rollout_hooks=[breaks("before_switch")], rollout_notify=notify)
    assert stopped.code == 2, stopped.text
    assert "Hook ours (before_switch) failed on web1: it ended with 3: " in stopped.words
    assert "the cache is cold" in stopped.words
    assert "web1 is on" in stopped.words and "as before, healthy and back" in stopped.words
    assert "the mute could not be told that the run was stopped" in stopped.words
    assert "planted" not in stopped.text
    assert bed.version("web1")["gunicorn"] == "20.0.1"
    record = bed.record()
    assert record["run"]["status"] == "halted"
    assert not [name for name, mark in record["marks"].items() if mark["mark"] == "bad"]


def test_what_was_prepared_for_a_trial_is_put_away_when_it_fails(bed: Bed, tmp_path: Path) -> None:
    done = tmp_path / "done"
    hooks = [note(done, "before_trial"), note(done, "after_trial", on_failure="warn")]
    before = bed.fingerprint()
    stopped = upgrade(bed, rollout_hooks=hooks, release_boot_timeout=0.01)
    assert stopped.code == 2, stopped.text
    told = r"trials_hooked \| Stop\].* prove \| Boot it on a spare port: .*did not answer within"
    assert re.search(told, stopped.words.replace('"', " ")), stopped.text
    lines = [line.rstrip() for line in done.read_text().splitlines()]
    assert lines == ["before_trial web1 upgrade", "after_trial web1 upgrade"]
    assert bed.fingerprint() == before


def test_hooks_run_in_order_and_whoever_wants_to_is_told(
    bed: Bed, tmp_path: Path, listener: tuple[str, list[dict[str, Any]]]
) -> None:
    done = tmp_path / "done"
    (tmp_path / "warm.yml").write_text(
        "- name: See that it is out\n"
        "  ansible.builtin.shell: >-\n"
        f"    echo 'tasks {{{{ hook_at }}}} {{{{ rollout_target.gunicorn }}}}' >> {done}\n"
    )
    hooks = [note(done, at, on_failure="warn") for at in ALL]
    hooks += [
        {"at": "after_switch", "name": "warm", "tasks": str(tmp_path / "warm.yml")},
        breaks("before_drain", on_failure="warn"),
        {**note(done, "after_switch", on_failure="warn"), "command": ["sleep", "30"], "timeout": 1},
    ]
    url, got = listener
    notify = [
        {"name": "tickets", "url": url, "events": ["began", "passed", "stopped", "ended"]},
        {"name": "chat", "url": url, "kind": "slack"},
        # Nobody listens there.
        {"name": "the dead", "url": f"http://127.0.0.1:9/{SECRET}", "events": ["ended"]},
    ]
    took = upgrade(bed, rollout_hooks=hooks, rollout_notify=notify)
    assert took.code == 0, took.text
    lines = done.read_text().splitlines()
    expected = [
        f"{at} web1 {'' if at.endswith('_run') else 'upgrade'} "
        f"{'' if at.endswith(('_run', '_trial')) else '21.2.0'}"
        for at in ALL
    ]
    expected.insert(6, "tasks after_switch 21.2.0")
    assert [line.rstrip() for line in lines] == [line.rstrip() for line in expected]
    assert "failed on web1, and on_failure is warn: it ended with 3" in took.words
    assert "it took longer than 1 s" in took.words
    assert "the dead could not be told that the run has ended: it does not answer" in took.words
    assert "planted" not in took.text
    events = [(told["event"], told["host"]) for told in got if "event" in told]
    assert events == [("began", "web1"), ("passed", "web1"), ("ended", "web1")]
    assert got[0]["run"]["kind"] == "upgrade to gunicorn 21.2.0"
    assert [told["text"][:18] for told in got if "event" not in told] == [
        "[app] began: upgra",
        "[app] ended: web1 ",
    ]


def test_a_hook_after_the_soak_leads_back_and_the_way_back_has_its_own(
    bed: Bed, tmp_path: Path, listener: tuple[str, list[dict[str, Any]]]
) -> None:
    back = bed.playbook("rollback.yml", "-l", "web1", **QUICK)
    assert back.code == 0, back.text
    done = tmp_path / "done"
    hooks = [
        breaks("after_soak"),
        breaks("before_rollback", on_failure="warn"),
        note(done, "after_rollback", on_failure="warn"),
    ]
    url, got = listener
    stopped = upgrade(
        bed,
        rollout_force=True,
        rollout_hooks=hooks,
        rollout_notify=[{"name": "tickets", "url": url}],
    )
    assert stopped.code == 2, stopped.text
    assert "Hook ours (after_soak) failed on web1" in stopped.words
    assert done.read_text().startswith("after_rollback web1 upgrade 21.2.0")
    assert bed.version("web1")["gunicorn"] == "20.0.1"
    assert [name for name, mark in bed.record()["marks"].items() if mark["mark"] == "bad"]
    assert got[-1]["event"] == "stopped"
    assert "back in service" in got[-1]["text"]
