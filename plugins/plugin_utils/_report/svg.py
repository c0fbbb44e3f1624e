# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The charts of a report, drawn by hand as SVG.

Everything is placed in percent of the width and in pixels of the height: texts keep their size on
a phone. All charts of a page share one axis, the time of the run.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._report.markup import (
    Markup,
    element,
    group,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._report.words import (
    STATE_WORDS,
    clock,
    duration,
    now,
    number,
)

HOSTS = 250
SERVERS = 12
_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400)
_TICKS = 8
# A label is shown where it fits: on the narrowest page, or only from this width on (as in the
# style sheet). Pixels.
_NARROW, _WIDE, _LETTER = 320, 880, 6.6
_UPRIGHT = ("serving", "soaking", "rolled back", "unknown")
_SHORT = {"serving": "in rotation", "soaking": "soaking", "rolled back": "rolled back"}


class Scale(NamedTuple):
    """From epoch seconds to the width of the chart."""

    began: float
    ended: float

    def percent(self, at: float) -> float:
        span = max(self.ended - self.began, 0.001)
        return min(max((at - self.began) / span, 0.0), 1.0) * 100

    def ticks(self) -> list[tuple[float, bool]]:
        """Round times, and whether one is shown on a narrow page too."""
        span = max(self.ended - self.began, 0.001)
        days = math.ceil(span / _TICKS / 86400) * 86400
        step = next((step for step in _STEPS if span / step <= _TICKS), days)
        first = math.ceil(self.began / step) * step
        times = [first + index * step for index in range(int((self.ended - first) // step) + 1)]
        return [(at, len(times) < 5 or index % 2 == 0) for index, at in enumerate(times)]


def legend(states: Iterable[str]) -> Markup:
    """What the colours of the timeline mean; only those that it has."""
    return element(
        "ul",
        (
            element("li", _swatch(state), STATE_WORDS[state])
            for state in STATE_WORDS
            if state in states
        ),
        cls="legend",
    )


def _swatch(state: str) -> Markup:
    return _svg(14, _rect("0", "100%", state, 0, 14), width="14", cls="swatch", role="")


def timeline(data: Mapping[str, Any], scale: Scale) -> Markup:
    """Hosts x states, with the stages behind them."""
    top, row = 22, 44
    hosts = list(data["hosts"].items())[:HOSTS]
    bottom = top + row * len(hosts)
    parts: list[Markup] = [_stage(stage, scale, bottom) for stage in data["stages"]]
    for index, (name, host) in enumerate(hosts):
        parts.append(_host(name, host, scale, top + index * row))
    parts.append(_axis(scale, bottom + 4))
    return _svg(bottom + 24, *parts, label="Where every host was over the time of the run")


def _stage(stage: Mapping[str, Any], scale: Scale, bottom: int) -> Markup:
    left, right = scale.percent(stage["began"]), scale.percent(stage["ended"])
    words = f"{stage['title']}, {clock(stage['began'])} to {clock(stage['ended'])}"
    names = (stage["title"], stage["name"], stage["name"].partition(" ")[0])
    labels = []
    for page, cls in ((_NARROW, "stage-name narrow"), (_WIDE, "stage-name wide")):
        name = next((each for each in names if _fits(each, right - left, page)), "")
        labels.append(_inset(name, left, 13, cls) if name else None)
    line = _line(left, 4, bottom, "stage")
    return element("g", element("title", words), line, *labels)


def _host(name: str, host: Mapping[str, Any], scale: Scale, top: int) -> Markup:
    parts = [
        _text(name, "0", top + 15, "host"),
        _text(now(host), "100%", top + 15, f"now now-{_slug(host['now'])}", anchor="end"),
    ]
    # What is short is drawn over what is long, or it would not be seen.
    spans = sorted(host["spans"], key=lambda span: float(span["began"] - span["ended"]))
    parts += [_span(span, scale, top + 20) for span in spans]
    last = -100.0
    for failure in host["failures"]:
        if failure["task"].startswith(("repair | ", "repair_end | ", "halt | ")):
            # How the run came to its end; what broke was before, or is elsewhere.
            continue
        at = scale.percent(failure["at"])
        if at - last > 2:
            parts.append(_cross(failure, at, top + 29))
            last = at
    return element("g", parts)


def _span(span: Mapping[str, Any], scale: Scale, top: int) -> Markup:
    left, right = scale.percent(span["began"]), scale.percent(span["ended"])
    width = min(max(right - left, 0.3), 100 - left)
    words = STATE_WORDS[span["state"]]
    lasted = duration(span["ended"] - span["began"])
    what = f"; {span['what']}" if span["what"] else ""
    title = f"{words} for {lasted}, {clock(span['began'])} to {clock(span['ended'])}{what}"
    short = _SHORT.get(span["state"], words)
    return element(
        "g",
        element("title", title),
        _rect(f"{left:.3f}%", f"{width:.3f}%", span["state"], top, 18),
        _fitting(short, left, width, top + 13, f"in in-{_slug(span['state'])}"),
    )


def _rect(x: str, width: str, state: str, top: int, height: int) -> Markup:
    """Out of rotation is lower as well as of another colour."""
    lower = 0 if state in _UPRIGHT or state == "out" else height // 3
    places = {"x": x, "y": str(top + lower), "width": width, "height": str(height - lower)}
    return element("rect", attributes=places, cls=f"s s-{_slug(state)}")


def _cross(failure: Mapping[str, Any], at: float, top: int) -> Markup:
    path = "M-5,-5L5,5M-5,5L5,-5"
    return element(
        "svg",
        element("title", f"{clock(failure['at'])} {failure['text'][:500]}"),
        element("path", attributes={"d": path}, cls="cross-halo"),
        element("path", attributes={"d": path}, cls="cross"),
        attributes={"x": f"{at:.3f}%", "y": str(top), "overflow": "visible", "width": "1"},
    )


# -- curves ----------------------------------------------------------------------------------


class Row(NamedTuple):
    """One small chart: its name, its values (null where nothing is known), and when it was out."""

    name: str
    edges: Sequence[float]
    values: Sequence[float | None]
    out: Sequence[Mapping[str, float]] = ()


def small_multiples(
    title: str,
    unit: str,
    rows: Sequence[Row],
    scale: Scale,
    reloads: Sequence[float] = (),
) -> Markup:
    """Rows of curves over one another, on one scale, with the charts' common axis."""
    height, plot = 50, 28
    most = max((value for row in rows for value in row.values if value is not None), default=0)
    parts: list[Markup] = []
    for index, row in enumerate(rows):
        top = index * height
        known = [value for value in row.values if value is not None]
        peak = f"at most {number(max(known))} {unit}" if known else "nothing known"
        parts += [
            _text(row.name, "0", top + 14, "host"),
            _text(peak, "100%", top + 14, "muted", anchor="end"),
            group(*(_band(outage, scale, top + 19, plot) for outage in row.out)),
            _plot(row.edges, row.values, most, scale, top + 19, plot),
            _base(top + 19 + plot),
        ]
    bottom = len(rows) * height
    parts += [_reload(at, scale, bottom) for at in reloads]
    parts.append(_axis(scale, bottom + 2))
    return element("figure", element("figcaption", title), _svg(bottom + 22, *parts, label=title))


def _plot(
    edges: Sequence[float],
    values: Sequence[float | None],
    most: float,
    scale: Scale,
    top: int,
    height: int,
) -> Markup:
    line, area = [], []
    pen = False
    for began, ended, value in zip(edges, edges[1:], values, strict=False):
        if value is None:
            pen = False
            continue
        left, right = scale.percent(began) * 10, scale.percent(ended) * 10
        y = height - value / (most or 1) * (height - 2)
        line.append(f"{'L' if pen else 'M'}{left:.2f},{y:.2f}H{right:.2f}")
        area.append(f"M{left:.2f},{height}V{y:.2f}H{right:.2f}V{height}Z")
        pen = True
    return element(
        "svg",
        element("path", attributes={"d": "".join(area)}, cls="area"),
        element(
            "path",
            attributes={"d": "".join(line), "vector-effect": "non-scaling-stroke"},
            cls="line",
        ),
        attributes={
            "x": "0",
            "y": str(top),
            "width": "100%",
            "height": str(height),
            "viewBox": f"0 0 1000 {height}",
            "preserveAspectRatio": "none",
            "overflow": "visible",
        },
    )


def _band(outage: Mapping[str, float], scale: Scale, top: int, height: int) -> Markup:
    left, right = scale.percent(outage["began"]), scale.percent(outage["ended"])
    places = {"x": f"{left:.3f}%", "width": f"{max(right - left, 0.3):.3f}%"}
    return element(
        "g",
        element("title", f"out of rotation, {clock(outage['began'])} to {clock(outage['ended'])}"),
        element("rect", attributes={**places, "y": str(top), "height": str(height)}, cls="band"),
    )


def _reload(at: float, scale: Scale, bottom: int) -> Markup:
    title = element("title", f"{clock(at)} the balancer's process was another one")
    return element("g", title, _line(scale.percent(at), 2, bottom, "reload"))


# -- pieces ----------------------------------------------------------------------------------


def _axis(scale: Scale, top: int) -> Markup:
    parts = []
    for at, always in scale.ticks():
        x = scale.percent(at)
        anchor = "start" if x < 8 else "end" if x > 92 else "middle"
        parts.append(_line(x, top, top + 4, "tick"))
        cls = "tick-name" if always else "tick-name wide"
        parts.append(_text(clock(at), f"{x:.3f}%", top + 16, cls, anchor=anchor))
    return group(_base(top), *parts)


def _base(y: int) -> Markup:
    places = {"x1": "0", "x2": "100%", "y1": f"{y}.5", "y2": f"{y}.5"}
    return element("line", attributes=places, cls="base")


def _line(x: float, top: int, bottom: int, cls: str) -> Markup:
    places = {"x1": f"{x:.3f}%", "x2": f"{x:.3f}%", "y1": str(top), "y2": str(bottom)}
    return element("line", attributes=places, cls=cls)


def _text(words: str, x: str, y: int, cls: str, anchor: str = "start") -> Markup:
    places = {"x": x, "y": str(y), "text-anchor": anchor}
    return element("text", words, attributes=places, cls=cls)


def _fitting(words: str, left: float, width: float, y: int, cls: str) -> Markup | None:
    """A label that is left out where it would not fit."""
    for page, more in ((_NARROW, ""), (_WIDE, " wide")):
        if _fits(words, width, page):
            return _inset(words, left, y, cls + more)
    return None


def _inset(words: str, left: float, y: int, cls: str) -> Markup:
    inset = element("tspan", words, attributes={"dx": "5"})
    return element("text", inset, attributes={"x": f"{left:.3f}%", "y": str(y)}, cls=cls)


def _fits(words: str, percent: float, page: int) -> bool:
    return len(words) * _LETTER + 8 <= percent / 100 * page


def _svg(
    height: int,
    *parts: Markup,
    label: str = "",
    width: str = "100%",
    cls: str = "chart",
    role: str = "img",
) -> Markup:
    places = {"width": width, "height": str(height)}
    places |= {"role": role, "aria-label": label} if role else {"aria-hidden": "true"}
    return element("svg", *parts, attributes=places, cls=cls)


def _slug(state: str) -> str:
    return state.replace(" ", "-")
