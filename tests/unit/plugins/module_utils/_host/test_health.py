import itertools

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host import health as host_health
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host import http_request

GOOD = host_health.Answer(200, "ok", "", 0.01)
BAD = host_health.Answer(500, "", "", 0.01)
NONE = host_health.Answer(None, "", "no answer (refused)", 0.01)


def watch(answers, consecutive=3, timeout=10, statuses=(200,), body=""):
    """Feed the answers in order, the last for ever; each sleep and each answer takes 1 s."""
    stream = itertools.chain(answers, itertools.repeat(answers[-1]))
    now = [0.0]

    def ask():
        now[0] += 1
        return next(stream)

    expected = host_health.check_expectation(list(statuses), body, consecutive)
    return host_health.watch(ask, expected, timeout, 1, lambda: now[0], lambda seconds: None)


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
    health = watch([host_health.Answer(200, "password=hunter2", "", 0.1)], body="^fine$")
    assert not health.healthy
    assert "hunter2" not in health.last


def test_other_statuses_can_be_good():
    assert watch([host_health.Answer(204, "", "", 0.1)], statuses=(200, 204)).healthy


@pytest.mark.parametrize(
    ("statuses", "body", "consecutive"), [([], "", 1), ([200], "(", 1), ([200], "", 0)]
)
def test_an_impossible_expectation_is_refused(statuses, body, consecutive):
    with pytest.raises(FleetError):
        host_health.check_expectation(statuses, body, consecutive)


def test_urls():
    assert http_request.parse_url("http://127.0.0.11:8000/healthz?a=1")[:5] == (
        "http",
        "127.0.0.11",
        8000,
        "",
        "/healthz?a=1",
    )
    assert http_request.parse_url("https://web1").port == 443
    assert http_request.parse_url("unix:/run/a.sock:/healthz") == (
        "unix",
        "localhost",
        0,
        "/run/a.sock",
        "/healthz",
    )
    assert http_request.parse_url("unix:/run/a.sock").path == "/"


@pytest.mark.parametrize(
    "url", ["", "web1:8000/x", "ftp://a/", "http://a:b/", "unix:a.sock", "http://"]
)
def test_a_bad_url_is_refused_by_name(url):
    with pytest.raises(FleetError, match="URL"):
        http_request.parse_url(url)


def bad(status, location=""):
    expected = host_health.check_expectation([200], "", 1)
    return host_health.why_bad(host_health.Answer(status, "", "", 0.1, location), expected)


def test_a_redirect_is_told_as_what_it_is():
    assert "a redirect to /login (it is not followed" in bad(302, "/login")
    said = bad(301, "https://www.example.org/healthz")
    assert "a redirect to https://www.example.org/healthz (it wants https" in said
    assert "X-Forwarded-Proto: https" in said
    assert "redirect" not in bad(404, "/x")


@pytest.mark.parametrize("status", [400, 421])
def test_a_host_that_is_not_known_is_a_guess_that_is_told(status):
    assert "gate_health_headers" in bad(status)


def test_headers_as_text():
    given = {"Host": "www.example.org:8443", "X-Number": 5, "X-Word": "a b\tc", "X-Empty": ""}
    assert host_health.check_headers(given) == {
        "Host": "www.example.org:8443",
        "X-Number": "5",
        "X-Word": "a b\tc",
        "X-Empty": "",
    }
    assert host_health.check_headers({"host": "[::1]:80"}) == {"host": "[::1]:80"}


@pytest.mark.parametrize(
    "given, words",
    [
        ("Host: x", "give headers by name"),
        ({"X": "a\r\nY: b"}, "headers.X cannot be sent"),
        ({"X": "a\nb"}, "cannot be sent"),
        ({"X": "a\0b"}, "cannot be sent"),
        ({"X": "\u20ac"}, "cannot be sent"),
        ({"X": " a"}, "cannot be sent"),
        ({"X": "a" * 5000}, "cannot be sent"),
        ({"X\r\nY": "a"}, "no name of a header"),
        ({"": "a"}, "no name of a header"),
        ({"X:": "a"}, "no name of a header"),
        ({5: "a"}, "no name of a header"),
        ({"X": None}, "headers.X is a NoneType"),
        ({"X": True}, "headers.X is a bool"),
        ({"X": ["a"]}, "headers.X is a list"),
        ({"Host": "a/b"}, "no host"),
        ({"Host": "a b"}, "no host"),
        ({"Host": "a@b"}, "no host"),
        ({"Connection": "keep-alive"}, "of the connection itself"),
        ({"Transfer-Encoding": "chunked"}, "of the connection itself"),
        ({"Host": "a", "host": "b"}, "twice"),
        ({f"X-{number}": "a" for number in range(40)}, "at most 32"),
    ],
)
def test_headers_that_are_none(given, words):
    with pytest.raises(FleetError, match=words):
        host_health.check_headers(given)


def test_no_value_of_a_wrong_header_is_quoted():
    assert "hunter2" not in " ".join(host_health.header_problems({"X": "hunter2\n"}, "headers"))


@pytest.mark.parametrize(
    "url, host",
    [
        ("http://127.0.0.1:8000/x", "127.0.0.1:8000"),
        ("http://a/", "a"),
        ("https://a/", "a"),
        ("https://a:80/", "a:80"),
        ("http://[::1]:8000/", "[::1]:8000"),
        ("unix:/run/a.sock:/x", "localhost"),
    ],
)
def test_which_host_is_sent(url, host):
    assert http_request.default_host(http_request.parse_url(url)) == host
