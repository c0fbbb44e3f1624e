# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Take out of logs and command lines what can be told to be a secret.

It is told by its name, by its place in a URL, or by its shape; a secret with none of these is not.
Not for requirements, where ``tokenizers==0.19`` is none (see `_packages.requirements.redact`).

The time grows with the length of the text and no faster, whoever wrote it: every repetition is
bounded, or begins where the last one ended.
"""

import re
from typing import Tuple

_KEYS = (
    "api|access|private|licen[cs]e|account|sign(?:ing|ature)|(?:en|de)crypt(?:ion)?|master|shared"
    "|hmac|jwt|session|cipher|crypto|client|deploy|webhook|admin|storage|subscription"
)
# What a name has in it that stands before a secret. Bounded: a long word that nearly is a name
# must not take for ever.
NAME = (
    r"(?:passw(?:or)?[dt]|passphrase|passcode|_pass(?![a-z])|(?<![a-z])pwd|secret(?!ar)|token(?!i[sz])"
    rf"|credential|(?<![a-z])creds?(?![a-z])|authorization|(?:{_KEYS})[_-]?key|sess(?:ion)?[_-]?id"
    r"|(?<![a-z])otp(?![a-z])|cookie(?!cutter))[\w-]{0,64}"
)
HIDDEN = "***"

_SCHEMES = "bearer|basic|digest|negotiate|ntlm|token|api-?key|hawk|key|aws4-hmac-sha256"
# The rest of such a name says that it is about a secret, and is none.
_ABOUT = re.compile(
    r"(?i)[_-](?:count|limit|length|len|size|type|age|ttl|lifetime|timeout|expir[a-z]*|ur[il]"
    r"|endpoint|policy|validators?|hashers?|min|max|budget|usage|index|class|backend|required"
    r"|enabled)s?\Z"
)
# Values that are no secret, and that a reader wants to see.
_PLAIN = re.compile(r"(?i)(?:none|null|nil|true|false|undefined|unset|\"\"|'')(?=[\s,;.)\]}]|\Z)")
_NUMBER = re.compile(r"\d{1,9}(?![\w.+/=-])")

_NAMED = re.compile(
    # auth, pass and pw are words of every day: only where nothing else can be meant.
    rf"(?i)(?P<name>{NAME}|(?<![a-z])_?auth(?=\s{{0,4}}=(?!=)|\\?['\"]\s{{0,4}}:)"
    r"|(?<![a-z])(?:pass|pw)(?==|\\?['\"]\s{0,4}:))"
    # A name in quotes, a subscript, a comma in a pair of strings, an element of XML.
    r"(?:(?P<pair>\\{0,4}['\"]\s{0,4},\s{0,4}(?=[bu]{0,2}\\{0,4}['\"]))"
    r"|(?P<tag>>)"
    r"|\\{0,8}['\"]?\]?[ \t]{0,40}(?:=>|:=|[=:](?!=)|%3[ad](?:%20|%22)?)"
    # A value on the next line is indented, or one of YAML's blocks.
    r"[ \t]{0,40}(?:(?P<block>[|>][-+0-9]{0,2}[ \t]{0,40}\r?\n[ \t]{1,40})|\r?\n[ \t]{1,40})?)"
)
_BLOCK = re.compile(r"[^\n]*(?:\n[ \t]+[^\n]*)*")
_QUOTED = re.compile(
    r"(?s)(?:'''(?:[^']|'(?!''))*(?:'''|\Z)|\"\"\"(?:[^\"]|\"(?!\"\"))*(?:\"\"\"|\Z)"
    r"|'(?:[^'\\]|\\.){0,4000}'|\"(?:[^\"\\]|\\.){0,4000}\")"
)
_ESCAPED = re.compile(r"(\\{1,8}['\"])[^\n]{0,4000}?(?<!\\)\1")
_PREFIX = re.compile(r"[bBuUrRfF]{0,2}(?=\\{0,8}['\"])")
_SCHEME = re.compile(rf"(?i)(?:{_SCHEMES})[ \t]{{1,8}}(?=\S)")
_LINE = re.compile(r"[^\r\n]*")
_WORD = re.compile(r"[^\s'\"()\[\]{}\\]+")
_ELSE = re.compile(r"\s{1,8}(?:or|and|else|\+|\|\|)\s{1,8}(?=[bu]{0,2}['\"])")
_COOKIES = re.compile(r"(?:;?[ \t]{1,4}[^\s;=,'\"]{1,256}=[^\s;,'\"]{0,4096})*")
_OPEN, _CLOSE = "([{", ")]}"
_IN_BRACKETS = 500

_PATTERNS: Tuple[Tuple["re.Pattern[str]", str], ...] = (
    (
        re.compile(
            r"(?s)-----BEGIN (?:[A-Z0-9]{1,20} ){0,3}PRIVATE KEY(?: BLOCK)?-----"
            r".*?(?:-----END [A-Z0-9 ]{1,60}-----|\Z)"
        ),
        "-----BEGIN PRIVATE KEY----- ***",
    ),
    # A line of such a block alone.
    (
        re.compile(
            r"(?m)^(?=[^a-z\n]{0,76}[a-z])(?=[^A-Z\n]{0,76}[A-Z])(?=[^0-9\n]{0,76}[0-9])"
            r"[A-Za-z0-9+/]{60,76}={0,2}$"
        ),
        HIDDEN,
    ),
    # Headers: all there is in the line. A value in quotes is told by its name below.
    (
        re.compile(
            r"(?i)(?<![a-z])((?:proxy-)?authorization|(?:set-)?cookie2?|x-auth[\w-]{0,40})"
            r"([ \t]{0,4}:[ \t]{0,4})(?=[^\s'\"\\{\[(*])[^\r\n]+"
        ),
        r"\1\2***",
    ),
    # A password may hold an @ itself, a slash or a quote; a port is none.
    (re.compile(r"(//)[^/\s'\"]*@"), r"\1***@"),
    (
        re.compile(
            r"(://)[^/\s'\"\[:@]{0,256}:(?!\d{1,5}(?:[/?#'\",;)\s]|\Z))[^\s@]{1,256}@(?=[\w\[.%-])"
        ),
        r"\1***@",
    ),
    (
        re.compile(
            r"(?i)([?&;](?:amp;)?(?:[\w.-]{0,64}?(?:token|secret|password|passwd|signature|credential|apikey"
            r"|(?<![a-z])(?:key|sig|pwd|pass|auth|code|sid))[\w-]{0,64})=)[^&\s'\"<>;#]+"
        ),
        r"\1***",
    ),
    (re.compile(r"(hooks\.slack\.com/services/|/api/webhooks/)[\w/-]+"), r"\1***"),
    # Options that mean a password to some programs only.
    (
        re.compile(
            r"(\b(?:sshpass|mysql\w{0,16}|mariadb\w{0,16})\b[^\n]{0,200}?\s-p ?"
            r"|\bcurl\b[^\n]{0,200}?\s(?:-u|--user)[ =]?)[^\s-]\S*"
        ),
        r"\1***",
    ),
    # Known by their shape, wherever they stand. A run of such characters is looked at once.
    (re.compile(r"(?<![A-Z0-9])(?:AKIA|ASIA)[0-9A-Z]{16}(?![0-9A-Z])"), HIDDEN),
    (re.compile(r"(?<![\w-])eyJ[\w-]{8,}(?:\.[\w-]*){2,4}"), HIDDEN),
    (
        re.compile(
            r"(?<![\w-])(?:gh[pousr]_|github_pat_|glpat-|xox[abeprs]-|[sr]k_(?:live|test)_|sk-|AIza|npm_"
            r"|pypi-|hvs\.|dop_v1_|SG\.)(?=[\w.-]{0,40}\d)[\w.-]{20,}"
        ),
        HIDDEN,
    ),
    (
        re.compile(
            rf"(?i)\b({_SCHEMES})[ \t]{{1,8}}(?=[A-Za-z0-9+/._~-]{{0,400}}[0-9+/=])"
            r"[A-Za-z0-9+/._~=-]{16,}"
        ),
        rf"\1 {HIDDEN}",
    ),
    (
        re.compile(r"(?i)\b(bearer|basic)[ \t]{1,8}(?=[a-z+/._~-]{0,400}\d)[a-z0-9+/._~=-]{8,}"),
        rf"\1 {HIDDEN}",
    ),
)
_OPTION = re.compile(
    rf"(?i)(?<![\w-])(--?(?:[\w.]{{1,32}}-){{0,4}}?(?:{NAME}|pass))([ \t]{{1,8}})(?=[^\s-])"
)
# In a sentence: what has letters and digits is no word of one.
_PROSE = re.compile(
    r"(?i)\b(pass(?:word|wd|phrase|code)|secret|api[ _-]?key)"
    r"([ \t]{1,4}(?:(?:is|was)[ \t]{1,4})?['\"]?)"
    r"(?=[^\s\d'\"]{0,200}\d)(?=[^a-z\s'\"]{0,200}[a-z])[^\s'\"]{6,}"
)


def redact(text: str) -> str:
    """The text without what looks like a secret."""
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    text = _hide_values(_NAMED, text)
    text = _hide_values(_OPTION, text)
    return _PROSE.sub(r"\1\2***", text)


def _hide_values(names: "re.Pattern[str]", text: str) -> str:
    """The text without the values behind these names; no character is looked at twice."""
    kept = []
    at = 0
    found = names.search(text)
    while found:
        begin = found.end()
        end = _value(text, found)
        kept.append(text[at:begin])
        if end > begin:
            kept.append(HIDDEN)
        at = max(begin, end)
        found = names.search(text, at)
    return "".join(kept) + text[at:] if kept else text


def _value(text: str, found: "re.Match[str]") -> int:
    """Where the value behind a name ends; where it begins, if it is none to hide."""
    groups = found.groupdict()
    begin = found.end()
    name = groups.get("name") or ""
    if text.startswith(HIDDEN, begin) or _PLAIN.match(text, begin) or _ABOUT.search(name):
        return begin
    if name.lower().endswith("tokens") and _NUMBER.match(text, begin):
        return begin
    if name.lower().endswith("pwd") and text.startswith("/", begin):
        # Where a shell is.
        return begin
    if groups.get("block"):
        block = _BLOCK.match(text, begin)
        return block.end() if block else begin
    if groups.get("tag"):
        end = text.find("<", begin, begin + 4096)
        return end if end >= 0 else _expression(text, begin)
    scheme = _SCHEME.match(text, begin)
    if scheme:
        if scheme.group().lower().startswith(("digest", "hawk", "aws4")):
            return _line_end(text, begin)
        return _expression(text, scheme.end())
    end = _expression(text, begin)
    for _more in range(4):
        more = _ELSE.match(text, end)
        if more is None:
            break
        end = _expression(text, more.end())
    cookies = _COOKIES.match(text, end) if "cookie" in name.lower() else None
    return cookies.end() if cookies else end


def _expression(text: str, begin: int) -> int:
    """Where a word, a string or something in brackets ends, as code and logs write them.

    What is opened and not closed is hidden as far as it was looked at: it may have been cut.
    """
    at, depth = begin, 0
    while at < len(text):
        if depth and at - begin > _IN_BRACKETS:
            break
        char = text[at]
        prefix = _PREFIX.match(text, at) if at == begin or depth else None
        if prefix or char in "'\"" or (char == "\\" and text[at + 1 : at + 2] in ("'", '"')):
            if prefix is None and not depth and not text[at + 1 : at + 2].isalnum():
                # It ends what began before the name.
                break
            start = prefix.end() if prefix else at
            whole = _QUOTED.match(text, start) or _ESCAPED.match(text, start)
            if whole is None and prefix is None:
                at += 1
                continue
            at = whole.end() if whole else _line_end(text, start)
            if not depth and prefix:
                break
        elif char in _OPEN:
            depth += 1
            at += 1
        elif char in _CLOSE:
            goes_on = text[at + 1 : at + 2].isalnum() or text[at + 1 : at + 2] in (".", "(", "[")
            if not depth and not goes_on:
                break
            at += 1
            depth = max(depth - 1, 0)
            if not depth and not goes_on:
                break
        elif char.isspace():
            if not depth:
                break
            at += 1
        else:
            word = _WORD.match(text, at)
            at = word.end() if word else at + 1
    return at


def _line_end(text: str, at: int) -> int:
    found = _LINE.match(text, at)
    return found.end() if found else at
