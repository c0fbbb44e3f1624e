# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Take out of logs and command lines what can be told to be a secret.

It is told by its name, by its place in a URL, or by its shape; a secret with none of these is not.
Not for requirements, where ``tokenizers==0.19`` is none (see `_requirements.redact`).
"""

import re

# Bounded: a long word that nearly is a name must not take for ever.
NAME = (
    r"(?:passw(?:or)?d|passphrase|_pass(?![a-z])|(?<![a-z])pwd|secret|token|credential|authorization"
    r"|(?:api|access|private|license|account)[_-]?key|session[_-]?id|cookie)[\w-]{0,64}"
)
_PATTERNS = (
    (
        re.compile(
            r"(?i)\b((?:proxy-)?authorization\W{1,4})(?:(bearer|basic|token)\s+)?[^\s'\",;]+"
        ),
        r"\1***",
    ),
    (re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9+/._~=-]{8,}"), r"\1 ***"),
    # A password may hold an @ itself.
    (re.compile(r"(//)[^/\s'\"]*@"), r"\1***@"),
    (
        re.compile(rf"(?i)({NAME}['\"]?\s*[=:]\s*)(?:'[^']*'|\"[^\"]*\"|[^\s'\"]+)"),
        r"\1***",
    ),
    (re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"), "***"),
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"), "***"),
)


def redact(text: str) -> str:
    """The text without what looks like a secret."""
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text
