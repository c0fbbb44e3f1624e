from __future__ import annotations

import pytest
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._plan.settings import (
    CHANGES,
    changes_for,
)

NOTHING = {
    "arguments": ["app:app"],
    "environment_arguments": [],
    "environment": [],
    "file": "",
    "names": {},
    "whole": True,
    "error": "",
}


def found(before="20.1.0", after="27.0.1", arguments="app:app", **more):
    settings = {**NOTHING, "arguments": arguments.split(), **more}
    return {each["setting"]: each["effect"] for each in changes_for(settings, before, after)}


def test_an_application_that_sets_nothing_hears_of_the_default_only():
    (effect,) = found().values()
    assert effect == "not set; its default goes from 127.0.0.1 to 127.0.0.1,::1"


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("22.0.0", "23.0.0", True),
        ("21.2.0", "22.0.0", False),
        ("23.0.0", "24.1.1", False),
        ("23.0.0", "23.0.0", False),
        # Back is no step over it.
        ("24.1.1", "22.0.0", False),
    ],
)
def test_only_a_step_over_the_version_counts(before, after, told):
    assert ("forwarded_allow_ips" in found(before, after)) is told


@pytest.mark.parametrize(
    "more",
    [
        {"arguments": "--forwarded-allow-ips * app:app"},
        {"arguments": "--forwarded-allow-ips=* app:app"},
        {"arguments": "--forwarded-allow=* app:app"},
        {"environment_arguments": ["--forwarded-allow-ips=*"]},
        {"environment": ["FORWARDED_ALLOW_IPS"]},
        {"names": {"forwarded_allow_ips": None}, "file": "/x.py"},
    ],
    ids=str,
)
def test_a_default_that_is_not_used_does_not_matter(more):
    assert "forwarded_allow_ips" not in found(**more)


def test_of_a_file_that_cannot_be_seen_through_nothing_is_claimed():
    effect = found(whole=False, file="/srv/c.py")["forwarded_allow_ips"]
    assert "unless /srv/c.py sets it" in effect


@pytest.mark.parametrize(
    "arguments",
    [
        "-k eventlet app:app",
        "-keventlet app:app",
        "--worker-class eventlet app:app",
        "--worker-class=eventlet app:app",
        "--worker-cl=eventlet app:app",
        "-k sync -k egg:gunicorn#eventlet app:app",
        "-k gunicorn.workers.geventlet.EventletWorker app:app",
    ],
)
def test_a_worker_that_is_no_more_is_seen(arguments):
    assert "no such worker any more" in found(arguments=arguments)["worker_class"]
    assert "worker_class" not in found("20.1.0", "25.3.0", arguments)


@pytest.mark.parametrize(
    "arguments", ["-k gevent app:app", "-k eventlet -k gthread app:app", "app:app eventlet"]
)
def test_another_worker_is_not(arguments):
    assert "worker_class" not in found(arguments=arguments)


def test_the_command_line_wins_over_the_variable_and_that_over_the_file():
    file = {"names": {"worker_class": "eventlet"}, "file": "/c.py"}
    assert "the configuration file" in found(**file)["worker_class"]
    assert "worker_class" not in found(environment_arguments=["-k", "sync"], **file)
    assert "worker_class" not in found(
        arguments="-k sync a:a", environment_arguments=["-k", "eventlet"]
    )
    # A value that is not plain to see is not guessed.
    assert "worker_class" not in found(names={"worker_class": None}, file="/c.py")


def test_what_was_removed_is_an_error_on_a_command_line_and_nothing_in_a_file():
    assert (
        "does not start"
        in found(arguments="--tolerate-dangerous-framing a:a")["tolerate_dangerous_framing"]
    )
    inside = found(names={"tolerate_dangerous_framing": None}, file="/c.py")
    assert "ignored without a word" in inside["tolerate_dangerous_framing"]


def test_a_switch_that_takes_a_word_now_takes_the_application():
    told = found("24.0.0", "24.1.0", "--proxy-protocol app:app")["proxy_protocol"]
    assert "stands before app:app" in told
    assert "proxy_protocol" not in found("24.0.0", "24.1.0", "--proxy-protocol -w 2 app:app")
    assert "proxy_protocol" not in found("24.0.0", "24.1.0", "app:app --proxy-protocol")
    assert "proxy_protocol" not in found("24.0.0", "24.1.0", "--proxy-allow-from * app:app")


def test_whom_a_proxy_may_be_matters_to_who_listens_to_proxies():
    assert "proxy_allow_ips" not in found()
    assert "proxy_allow_ips" in found(arguments="app:app --proxy-protocol")
    assert "proxy_allow_ips" not in found(arguments="a:a --proxy-allow-from * --proxy-protocol")


def test_what_could_not_be_seen_is_not_judged():
    assert found(error="another user's") == {}


def test_each_row_has_its_source():
    assert all(change.source and change.options for change in CHANGES)
