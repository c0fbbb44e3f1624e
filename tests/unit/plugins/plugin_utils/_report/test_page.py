# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is written of a report, read back by parsers: whatever a text says, it stays a text."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._report.data import clean
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._report.markup import (
    Markup,
    element,
    style,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._report.page import page
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._report.style import CSS
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._report.svg import Scale
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._report.text import junit, markdown
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.plugins.plugin_utils._report.paper_report import (
    RUN,
    WELL,
    counters,
    events,
    made,
    version,
)

VOID = ("meta", "link")
ALLOWED = re.findall(
    r"\w+",
    """html head meta link title style body main header section footer h1 h2 h3 p pre dl div dt dd
    span strong table thead tbody tr th td ul li figure figcaption details summary svg g rect line
    text tspan path""",
)
# Nothing that could fetch, run or restyle is among them.
ATTRIBUTES = re.findall(
    r"[\w-]+",
    """lang charset http-equiv content name rel class data-label open x y x1 x2 y1 y2 dx d width
    height viewbox preserveaspectratio vector-effect overflow text-anchor role aria-label
    aria-hidden href""",
)
EVIL = (
    "<script>alert(1)</script>",
    "</pre></style></title></svg><img src=x onerror=alert(1)>",
    "\" onmouseover='alert(1)' x=\"",
    "]]><![CDATA[<!-- --> &lt;script&gt; &#0; &amp;",
    "```\n# not a heading\n<details>| @everyone [x](javascript:alert(1))",
    "\x00\x1b[31m\u202e\ud800\ufffe javascript:alert(1)",
    "http://evil.example/x HTTPS://evil.example www.evil.example WWW.evil.example mailto:a",
)
# Fields in which a text of ours is a word that decides something.
WORDS = ("kind", "at", "state", "verdict", "host", "action", "unreachable")


class Page(HTMLParser):
    """Reads a page strictly: every element is known, closed and in its place."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.texts, self.styles, self.meta = [], [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        assert tag in ALLOWED, tag
        for name, value in attrs:
            assert name in ATTRIBUTES, name
            assert name != "href" or value == "data:,"
        self.tags.append(tag)
        if tag == "meta":
            self.meta.append(dict(attrs))
        if tag not in VOID:
            self.open.append(tag)
        self.texts += [value for name, value in attrs if name in ("data-label", "aria-label")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        (self.styles if self.open[-1:] == ["style"] else self.texts).append(data)

    def handle_comment(self, data):
        raise AssertionError(data)

    def unknown_decl(self, data):
        raise AssertionError(data)

    handle_pi = unknown_decl


def planted(value, text, name=""):
    """The same value with a text in every field where any text may be."""
    if isinstance(value, dict):
        return {key: planted(item, text, key) for key, item in value.items()}
    if isinstance(value, list):
        return [planted(item, text, name) for item in value]
    return text if isinstance(value, str) and name not in WORDS else value


def renamed(told, text):
    """With a host of that name too."""
    return [{**each, "host": text} if each.get("host") == "web2" else each for each in told]


def outside_of_fences(text):
    """The lines of a Markdown text that are no quoted block."""
    fence = None
    for line in text.splitlines():
        run = re.match("`{3,}", line)
        if fence is None and run:
            fence = run.group()
        elif fence is not None and line == fence:
            fence = None
        elif fence is None:
            yield line
    assert fence is None


def check(data, text):
    shown = clean(text).strip()
    read = Page(page(data))
    assert read.styles == [CSS]
    assert " ".join(shown.split()) in " ".join(" ".join(read.texts).split())
    root = ElementTree.fromstring(junit(data).encode("utf-8"))
    assert {each.tag for each in root.iter()} <= {
        "testsuites", "testsuite", "testcase", "failure", "skipped",
    }  # fmt: skip
    for line in outside_of_fences(markdown(data)):
        assert not re.search(
            r"(?<!\\)[<\[]|^#(?!# (Stopped|Done))|@|://|(?i:www\\?\.|mailto:)", line
        ), line
    json.loads(json.dumps(data, allow_nan=False))


@pytest.mark.parametrize("text", EVIL)
def test_an_evil_text_is_shown_and_nothing_else(text):
    data = made(renamed(planted(events(), text), text), RUN._replace(failed=(text,), user=text))
    check(data, text)
    assert "<script" not in page(data) and "\x00" not in page(data) + junit(data)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(st.characters(codec=None), min_size=1, max_size=60))
def test_no_text_breaks_out(text):
    data = made(renamed(planted(events(), text), text), RUN._replace(failed=(text,), limit=text))
    check(data, text)


def test_a_planted_secret_is_in_none_of_the_four():
    for text in ("password=hunter2", "see https://u:hunter2@index.example/simple"):
        told = renamed(planted(events(), text), text)
        data = made(told, RUN._replace(failed=(text,), user=text, limit=text, controller=text))
        for written in (page(data), junit(data), markdown(data), json.dumps(data)):
            assert "hunter2" not in written


# -- the page --------------------------------------------------------------------------------


def test_the_policy_allows_this_style_sheet_and_nothing_else():
    policy = next(
        each["content"] for each in Page(page(made())).meta if "http-equiv" in each
    ).split("; ")
    digest = base64.b64encode(hashlib.sha256(CSS.encode()).digest()).decode()
    assert policy == [
        "default-src 'none'",
        f"style-src 'sha256-{digest}'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    assert "url(" not in CSS and "@import" not in CSS


def test_the_page_says_first_how_it_ended():
    texts = " ".join(Page(page(made())).texts)
    places = [
        texts.index(part)
        for part in (
            "Stopped: web2 failed",
            "soak: fail; log dirty",
            "rolled back, in rotation",
            "Timeline",
            "What users saw at lb1",
            "3 of 440 requests",
            "1 per hour",
            "Worker (pid:12) was sent SIGKILL!",
            "Known hazards",
            "Checks and verdicts",
        )
    ]
    assert places == sorted(places)


def test_a_host_that_is_out_is_an_alarm():
    told = [each for each in events() if each["at"] < 1043]
    data = made(told, RUN)
    assert "web2 is OUT OF ROTATION" in " ".join(Page(page(data)).texts)
    assert "**web2 is OUT OF ROTATION.**" in markdown(data)


def test_a_balancer_that_nobody_asked_anything_is_said_to_be():
    told = [counters(1003, 5, 5, host="web1"), counters(1010, 5, 5, host="web1")]
    assert "No request came while the run was looking." in page(made(told, WELL))


def test_of_many_hosts_the_one_that_is_out_comes_first():
    told = [*events(), *(version(1001, f"web{number}", "1", "3") for number in range(3, 40))]
    text = page(made([each for each in told if each["at"] < 1043], RUN))
    table = text[text.index("Where every host is") : text.index("Timeline")]
    hosts = re.findall(r"<strong>(web\d+)</strong>", table)
    assert hosts[0] == "web2" and len(hosts) == 39
    assert "23 more hosts" in table


def test_a_run_of_which_nothing_is_known_has_a_page():
    assert "Done: nothing had to be changed" in " ".join(Page(page(made([], WELL))).texts)


def test_colours_of_texts_can_be_read_in_both_schemes():
    """WCAG AA: 4.5 between a text and what it stands on."""
    light, dark = re.findall(r":root \{([^}]*)\}", CSS)[:2]
    for scheme in (light, dark):
        colour = dict(re.findall(r"--([\w-]+): #([0-9a-f]{6});", scheme))
        assert len(colour) > 15
        for text in ("ink", "muted", "good", "bad", "warn"):
            assert contrast(colour[text], colour["card"]) >= 4.5, text
            assert contrast(colour[text], colour["page"]) >= 4.5, text
        assert contrast(colour["ink"], colour["code"]) >= 4.5
        for state in ("serving", "soaking", "rolled", "drain", "drained", "switching", "unknown"):
            assert contrast(colour["on-bar"], colour[state]) >= 4.5, state
        assert contrast(colour["on-down"], colour["down"]) >= 4.5
        # Lines are no texts: 3.
        assert contrast(colour["curve"], colour["card"]) >= 3


def contrast(one, other):
    def light(colour):
        parts = [int(colour[place : place + 2], 16) / 255 for place in (0, 2, 4)]
        red, green, blue = (
            part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
        )
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    dim, bright = sorted((light(one), light(other)))
    return (bright + 0.05) / (dim + 0.05)


@given(st.floats(0, 4e9), st.floats(0, 1e7))
def test_ticks_are_few_round_and_on_the_chart(began, span):
    scale = Scale(began, began + span)
    times = [at for at, _always in scale.ticks()]
    assert len(times) <= 9
    assert all(began - 1e-6 <= at <= scale.ended + 1e-6 and at % 1 == 0 for at in times)


def test_only_this_module_makes_markup():
    assert element("b", "<i>", attributes={"x": '"<'}) == '<b x="&quot;&lt;">&lt;i&gt;</b>'
    assert element("b", element("i")) == "<b><i></i></b>"
    assert not isinstance("<b>" + element("i"), Markup)
    with pytest.raises(ValueError):
        style("</style>")


# -- Markdown and JUnit ----------------------------------------------------------------------


def test_the_ticket():
    assert markdown(made()) == TICKET


TICKET = """\
## Stopped: web2 failed

```text
web2: stage 1 failed.
Why
```

- Stop: F-OTHER: a task failed for a reason that has no entry of its own. \
What now: docs/operations.md\\#f-other
- Run: upgrade -l web
- When: 1970-01-01 00:16:40 UTC, took 100 s
- By: ada on deploy1
- Kind: upgrade to gunicorn 23.0.0
- Reason: support ends
- Overrides: rollout\\_force
- Incidents before: 1 per hour (4 incidents in 4.0 h of all logs); since the switch: 327 per hour \
(1 incident in 11 s of all logs)

| Host | Now | Before | After | Out of rotation |
|---|---|---|---|---|
| web1 | upgraded, in rotation | gunicorn 20.0.1 on Python 3.6.15 | gunicorn 23.0.0 on Python 3.11.2 | 5.0 s |
| web2 | rolled back, in rotation | gunicorn 20.0.1 on Python 3.6.15 | gunicorn 20.0.1 on Python 3.6.15 | 2 times, at most 5.0 s |

**worker\\_killed on web2, 2026-11-23T03:01:00Z**

```text
Worker (pid:12) was sent SIGKILL!
```
"""  # noqa: E501


def cases(data):
    root = ElementTree.fromstring(junit(data).encode())
    found = {}
    for suite in root:
        counted = {"tests": len(suite), "failures": 0, "skipped": 0}
        for case in suite:
            kind = case[0].tag if len(case) else "passed"
            found[suite.get("name"), case.get("name")] = kind
            counted["failures"] += kind == "failure"
            counted["skipped"] += kind == "skipped"
        assert {name: int(suite.get(name)) for name in counted} == counted
    return found


def test_a_case_per_host_and_stage():
    asked, stage = "Ask every host and every balancer", "Stage 1: gunicorn 23.0.0"
    assert cases(made()) == {
        (asked, "web1"): "passed",
        (asked, "web2"): "passed",
        (stage, "web1"): "passed",
        (stage, "web2"): "failure",
    }


def test_what_the_run_did_not_come_to_is_skipped():
    told = [each for each in events() if each["at"] < 1010]
    stage = "Stage 1: gunicorn 23.0.0"
    found = cases(made(told, WELL._replace(check_mode=True)))
    assert (found[stage, "web1"], found[stage, "web2"]) == ("skipped", "skipped")


def test_a_failure_says_what_kind_of_stop_it_was():
    root = ElementTree.fromstring(junit(made()).encode())
    assert {each.get("type") for each in root.iter("failure")} == {"F-OTHER"}
    assert "F-OTHER: a task failed" in page(made())
    assert "F-" not in markdown(made(run=WELL))


def test_who_failed_without_a_word_is_a_failure():
    assert cases(made([], RUN)) == {("Run", "web2"): "failure"}


def test_what_was_mended_is_no_failure():
    assert "failure" not in cases(made(run=WELL)).values()
