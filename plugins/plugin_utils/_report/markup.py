# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Markup that cannot be broken out of: whatever is no `Markup` is escaped on its way in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import TypeAlias

_VOID = ("meta", "link")


class Markup(str):
    """A text that is markup already. Only this module makes one."""

    __slots__ = ()


Child: TypeAlias = str | None | Iterable["Child"]


def element(
    name: str, *children: Child, attributes: Mapping[str, str] | None = None, cls: str = ""
) -> Markup:
    """An element with its attributes and children, in which texts are escaped."""
    given = {**({"class": cls} if cls else {}), **(attributes or {})}
    head = "".join(f' {key}="{escape(value)}"' for key, value in given.items())
    if name in _VOID:
        return Markup(f"<{name}{head}>")
    return Markup(f"<{name}{head}>{group(*children)}</{name}>")


def group(*children: Child) -> Markup:
    """Children beside each other."""
    return Markup("".join(_inner(child) for child in children))


def _inner(child: Child) -> str:
    if child is None:
        return ""
    if isinstance(child, Markup):
        return str(child)
    if isinstance(child, str):
        return escape(child)
    return "".join(_inner(each) for each in child)


def style(css: str) -> Markup:
    """The element for a style sheet of ours, in which nothing may be escaped."""
    if "<" in css:
        raise ValueError("a style sheet does not need this character")
    return Markup(f"<style>{css}</style>")


def document(root: Markup) -> str:
    """A whole page."""
    return "<!DOCTYPE html>\n" + root + "\n"
