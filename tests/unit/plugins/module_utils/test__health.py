import itertools

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils import _health, _http
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError

GOOD = _health.Answer(200, "ok", "", 0.01)
BAD = _health.Answer(500, "", "", 0.01)
NONE = _health.Answer(None, "", "no answer (refused)", 0.01)


def watch(answers, consecutive=3, timeout=10, statuses=(200,), body=""):
    """Feed the answers in order, the last for ever; each sleep and each answer takes 1 s."""
    stream = itertools.chain(answers, itertools.repeat(answers[-1]))
    now = [0.0]

    def ask():
        now[0] += 1
        return next(stream)

    expected = _health.check_expectation(list(statuses), body, consecutive)
    return _health.watch(ask, expected, timeout, 1, lambda: now[0], lambda seconds: None)


def test_enough_good_answers_are_healthy():
    assert watch([GOOD]).healthy
    assert watch([GOOD]).answers == 3


def test_one_bad_answer_starts_the_count_anew():
    health = watch([GOOD, GOOD, BAD, GOOD])
    assert health.healthy
    assert health.answers == 6


def test_an_answer_that_flaps_is_not_healthy():
    answers = [GOOD, GOOD, BAD] * 10
    assert not watch(answers).healthy


@pytest.mark.parametrize(("answer", "word"), [(BAD, "500"), (NONE, "refused")])
def test_the_last_trouble_is_told(answer, word):
    health = watch([GOOD, answer])
    assert not health.healthy
    assert word in health.last


def test_there_is_an_attempt_even_without_time():
    assert watch([GOOD], consecutive=1, timeout=0).healthy


def test_a_body_that_does_not_match_is_bad_and_is_not_quoted():
    health = watch([_health.Answer(200, "password=hunter2", "", 0.1)], body="^fine$")
    assert not health.healthy
    assert "hunter2" not in health.last


def test_other_statuses_can_be_good():
    assert watch([_health.Answer(204, "", "", 0.1)], statuses=(200, 204)).healthy


@pytest.mark.parametrize(
    ("statuses", "body", "consecutive"), [([], "", 1), ([200], "(", 1), ([200], "", 0)]
)
def test_an_impossible_expectation_is_refused(statuses, body, consecutive):
    with pytest.raises(FleetError):
        _health.check_expectation(statuses, body, consecutive)


def test_urls():
    assert _http.parse_url("http://127.0.0.11:8000/healthz?a=1")[:5] == (
        "http",
        "127.0.0.11",
        8000,
        "",
        "/healthz?a=1",
    )
    assert _http.parse_url("https://web1").port == 443
    assert _http.parse_url("unix:/run/a.sock:/healthz") == (
        "unix",
        "localhost",
        0,
        "/run/a.sock",
        "/healthz",
    )
    assert _http.parse_url("unix:/run/a.sock").path == "/"


@pytest.mark.parametrize(
    "url", ["", "web1:8000/x", "ftp://a/", "http://a:b/", "unix:a.sock", "http://"]
)
def test_a_bad_url_is_refused_by_name(url):
    with pytest.raises(FleetError, match="URL"):
        _http.parse_url(url)
