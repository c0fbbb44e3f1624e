# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""nginx's syntax as people write it, and where its words are."""

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.nginx.syntax import (
    Wrong,
    parse,
)


def shape(directives):
    return [
        [*(word.value for word in each.words), shape(each.block)]
        if each.block is not None
        else [word.value for word in each.words]
        for each in directives
    ]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a b c;", [["a", "b", "c"]]),
        ("a\n  b\t c ;\n", [["a", "b", "c"]]),
        ("# a b; {\na b; # c; }\n", [["a", "b"]]),
        # Only where a word could begin is # a comment, and a quote a quote.
        ("a b#c; d it's;", [["a", "b#c"], ["d", "it's"]]),
        ('a \'b; { # c\' "d \\" ; e";', [["a", "b; { # c", 'd " ; e']]),
        ("a {}", [["a", []]]),
        ("a b { c d; e { f; } }", [["a", "b", [["c", "d"], ["e", [["f"]]]]]]),
        ("if ($x ~ \\.php$) { a; }", [["if", "($x", "~", "\\.php$)", [["a"]]]]),
        ("a ${b}c;", [["a", "${b}c"]]),
        ("a b{c;}", [["a", "b", [["c"]]]]),
        ("a b\\;c;", [["a", "b\\;c"]]),
        ('location ~ "^/a{2,3}$" { b; }', [["location", "~", "^/a{2,3}$", [["b"]]]]),
        (
            "map $a $b {\n  default 'x';\n  ~^/(.*)$ y;\n}",
            [["map", "$a", "$b", [["default", "x"], ["~^/(.*)$", "y"]]]],
        ),
        (
            "server [::1]:80; server unix:/run/a.sock;",
            [["server", "[::1]:80"], ["server", "unix:/run/a.sock"]],
        ),
    ],
)
def test_what_is_read(text, found):
    assert shape(parse(text)) == found


@pytest.mark.parametrize(
    "lua",
    [
        "ngx.say('}')",
        'local a = "{ \\" }"',
        "-- } no end here\n",
        "--[[ } \n } ]] local t = {1, {2}}",
        "local s = [[ } ' \" ]]",
        "local s = [==[ ]] } ]==]",
        "if a then b = { c = '}' } end",
    ],
)
def test_a_block_of_lua_is_passed_over(lua):
    text = f"content_by_lua_block {{\n{lua}\n}}\nserver a;"
    found = parse(text)
    assert shape(found) == [["content_by_lua_block", []], ["server", "a"]]
    assert text[found[1].start : found[1].end] == "server a;"


def test_places_are_bytes():
    text = "# é\nserver  '10.0.0.1' weight=5 ;".encode().decode("latin-1")
    [found] = parse(text)
    assert [text[word.start : word.end] for word in found.words] == [
        "server",
        "'10.0.0.1'",
        "weight=5",
    ]
    assert text[found.end - 1] == ";"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a b", "line 1: a directive has no end"),
        ("a;\nb { c;\n", "line 2: a block has no end"),
        ("a;\n}\n", "line 2: a } too many"),
        ("a { b }", "line 1: a directive ends with }"),
        ("a 'b;", "a quote has no end"),
        (";", "a ; too many"),
        ("{ a; }", "a block has no name"),
        ("x_by_lua_block { '", "no end"),
        ("a {" * 100, "too deep"),
    ],
)
def test_what_is_no_configuration_is_an_error_with_its_line(text, words):
    with pytest.raises(Wrong, match=words):
        parse(text, "/etc/nginx/nginx.conf")
