"""What others are told of a run."""

import json

import pytest
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._story import notification
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._story.notification import (
    not_told,
    notice,
    notice_body,
    notify_problems,
)

SAID = "web1: stage 1 failed.\nWhy: token=hush\nEvidence: reentrant in app.log\n  | my customer"
RECORD = {"run": {"id": "1", "kind": "upgrade", "owner": "ann", "controller": "ops", "plan": "x"}}


def test_the_evidence_stays_here_and_secrets_too():
    told = notice(SAID, "stopped", "app", "web1", RECORD)
    assert told["text"] == "web1: stage 1 failed.\nWhy: token=***"
    assert told["subject"] == "[app] stopped: web1: stage 1 failed."
    assert told["run"] == {"id": "1", "kind": "upgrade", "owner": "ann", "controller": "ops"}
    assert notice_body(told, "json") == told


def test_slack_gets_a_text():
    body = notice_body(notice(SAID, "stopped", "app", "web1", {}), "slack")
    assert body == {"text": "[app] stopped: web1: stage 1 failed.\nWhy: token=***"}


def test_the_log_of_a_new_generation_stays_here_too():
    said = "web1: failed.\nWhy: Last lines of its log:\n  | my customer\nNow: web1 is back"
    told = notice(said, "stopped", "app", "web1", RECORD)
    assert told["text"] == "web1: failed.\nWhy: Last lines of its log:\nNow: web1 is back"


def test_nothing_of_a_host_calls_everybody_or_moves_a_cursor():
    told = notice("<!channel> a & b\x1b[2J\r\u202e", "stopped", "app", "web1", RECORD)
    assert told["text"] == "<!channel> a & b\\x1b[2J\\x0d\\u202e"
    assert "&lt;!channel&gt; a &amp; b" in notice_body(told, "slack")["text"]


def test_whatever_is_said_is_bounded():
    told = notice("x" * 100_000, "stopped", "app", "web1", {"run": None})
    assert len(json.dumps(told)) < 2_000


def test_what_cannot_be_sent_is_refused_without_showing_the_address():
    (problem,) = notify_problems([{"name": "chat", "url": "file:///secret"}])
    assert "chat of rollout_notify needs url" in problem
    assert "secret" not in problem
    assert notify_problems([{"name": "chat", "url": "https://h/x"}]) == []


def test_a_mail_needs_addresses_and_its_collection(monkeypatch):
    mail = {"name": "on call", "kind": "mail", "to": ["a@example.com"]}
    monkeypatch.setattr(notification, "_is_there", lambda name: name == "community.general")
    assert notify_problems([mail]) == []
    assert "needs to" in notify_problems([{**mail, "to": []}])[0]
    monkeypatch.setattr(notification, "_is_there", lambda _name: False)
    assert "ansible-galaxy collection install community.general" in notify_problems([mail])[0]
    monkeypatch.undo()
    assert not notification._is_there("nobody.nothing")
    assert notification._is_there("fleetops.gunicorn")


@pytest.mark.parametrize(
    ("result", "text"),
    [
        ({"status": 500}, "it answers 500"),
        ({"status": -1}, "it does not answer"),
        ({"timedout": {"period": 10}}, "it took too long"),
        ({}, "it does not answer"),
    ],
)
def test_why_somebody_was_not_told(result, text):
    assert not_told(result) == text
