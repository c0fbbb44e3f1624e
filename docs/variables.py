# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write docs/variables.md anew between its marks: `make variables`.

What a variable means is said once, in roles/settings/meta/argument_specs.yml; its default is in
roles/settings/defaults/main.yml. The inventory, above the marks, is written by hand.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/variables.md"
BEGIN, END = "<!-- variables -->\n", "<!-- end -->\n"

# By prefix, in the order of the page. A prefix that is not here comes last, under its own name.
GROUPS = {
    "app": "The application",
    "rollout": "The rollout",
    "load_balancer": "The load balancer",
    "service": "The service manager",
    "release": "Building releases",
    "gate": "The gate",
    "status": "The table of the fleet",
    "check": "The check",
    "plan": "The plan",
    "report": "The report",
    "metrics": "Metrics of runs and checks",
}

_MARKUP = re.compile(r"\b([BCEILMOPUV]|RV)\(((?:\\.|[^\\)])*)\)")
_ESCAPED = re.compile(r"\\(.)")

Options = Mapping[str, Mapping[str, Any]]


def options() -> Options:
    """Every operator input, as it is declared, with the default that Ansible takes."""
    settings = ROOT / "roles/settings"
    specs = yaml.safe_load((settings / "meta/argument_specs.yml").read_text(encoding="utf-8"))
    defaults = yaml.safe_load((settings / "defaults/main.yml").read_text(encoding="utf-8"))
    declared: dict[str, dict[str, Any]] = specs["argument_specs"]["validate"]["options"]
    for name, default in defaults.items():
        declared[name]["default"] = default
    return declared


def render(declared: Options) -> str:
    """All that is between the marks."""
    lines = ["| | variables |", "|---|---|"]
    parts = []
    for prefix, title, names in _groups(declared):
        links = ", ".join(f"[`{name}`](#{name})" for name in names)
        lines.append(f"| [{title}](#{_anchor(title)}), `{prefix}_` | {links} |")
        parts.append(f"## {title}")
        parts += [_variable(name, declared[name]) for name in names]
    return "\n\n".join(["\n".join(lines), *parts]) + "\n"


def _groups(declared: Options) -> Iterable[tuple[str, str, list[str]]]:
    found: dict[str, list[str]] = {prefix: [] for prefix in GROUPS}
    for name in declared:
        known = [prefix for prefix in GROUPS if name.startswith(prefix + "_")]
        found.setdefault(known[0] if known else name.partition("_")[0], []).append(name)
    for prefix, names in found.items():
        if names:
            yield prefix, GROUPS.get(prefix, f"`{prefix}_`"), names


def _variable(name: str, option: Mapping[str, Any]) -> str:
    facts = [_kind(option), "**required**" if option.get("required") else _default(option)]
    if option.get("choices"):
        facts.append("one of " + ", ".join(_value(choice) for choice in option["choices"]))
    if option.get("no_log"):
        facts.append("never shown")
    told = option["description"]
    sentences = [told] if isinstance(told, str) else told
    text = [plain(" ".join(str(sentence).split())) for sentence in sentences]
    return "\n\n".join([f"### `{name}`", "; ".join(facts) + ".", "\n".join(text)])


def _kind(option: Mapping[str, Any]) -> str:
    elements = option.get("elements")
    return f"{option['type']} of {elements}" if elements else str(option["type"])


def _default(option: Mapping[str, Any]) -> str:
    default = option["default"]
    return "empty" if default == "" else f"default {_value(default)}"


def _value(value: object) -> str:
    text = value if isinstance(value, str) and value else json.dumps(value)
    return f"`{text}`"


def plain(text: str) -> str:
    """The markup of Ansible's documentation, `V(x)` and its kin, as Markdown."""

    def told(match: re.Match[str]) -> str:
        kind, inner = match.group(1), _ESCAPED.sub(r"\1", match.group(2))
        if kind in ("B", "I"):
            mark = "**" if kind == "B" else "*"
            return f"{mark}{inner}{mark}"
        if kind == "U":
            return f"<{inner}>"
        if kind == "L":
            label, _comma, url = inner.rpartition(",")
            return f"[{label.strip()}]({url.strip()})"
        # P(name#kind) names a plugin.
        return f"`{inner.partition('#')[0] if kind == 'P' else inner}`"

    return _MARKUP.sub(told, text)


def _anchor(title: str) -> str:
    """As GitHub makes it of a heading."""
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")


def page(before: str, declared: Options) -> str:
    """The page with what is between its marks written anew."""
    head, begin, rest = before.partition(BEGIN)
    _old, end, tail = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{PAGE} has no {BEGIN.strip()} and {END.strip()} any more.")
    return f"{head}{begin}\n{render(declared)}\n{end}{tail}"


def main() -> int:
    before = PAGE.read_text(encoding="utf-8")
    after = page(before, options())
    if after != before:
        PAGE.write_text(after, encoding="utf-8")
    print(f"{PAGE.relative_to(ROOT)}: {'unchanged' if after == before else 'written anew'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
