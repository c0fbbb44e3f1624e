# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""supervisord's own files: where they are, and a program's section in them."""

import configparser
import os
from typing import Dict, Iterable, List

from ansible_collections.fleetops.gunicorn.plugins.module_utils._processes import Reader


def parse_supervisor_config(texts: Iterable[str], group: str, name: str) -> Dict[str, str]:
    """The ``[program:x]`` section out of supervisord's files; {} if it is not there."""
    parser = configparser.RawConfigParser(inline_comment_prefixes=(";", "#"), strict=False)
    for text in texts:
        try:
            parser.read_string(text)
        except configparser.Error:
            continue
    for section in (f"program:{name}", f"program:{group}"):
        if parser.has_section(section):
            return dict(parser.items(section))
    return {}


def read_section(reader: Reader, supervisor_pid: int, group: str, name: str) -> Dict[str, str]:
    """What the files of this supervisord say about the program; {} if they cannot be found."""
    return parse_supervisor_config(_config_texts(reader, supervisor_pid), group, name)


def _config_texts(reader: Reader, pid: int) -> List[str]:
    """supervisord's configuration file and those it includes, as far as they can be found."""
    words = reader.text(f"/proc/{pid}/cmdline").split("\0")
    cwd = reader.link(f"/proc/{pid}/cwd") or "/"
    named = ""
    for index, word in enumerate(words):
        if word in ("-c", "--configuration"):
            named = words[index + 1] if index + 1 < len(words) else ""
        elif word.startswith("--configuration="):
            named = word.partition("=")[2]
    usual = ["/etc/supervisord.conf", "/etc/supervisor/supervisord.conf"]
    for path in [os.path.join(cwd, named)] if named else usual:
        text = reader.text(path)
        if text:
            here = os.path.dirname(path)
            parser = configparser.RawConfigParser(inline_comment_prefixes=(";", "#"), strict=False)
            try:
                parser.read_string(text)
                patterns = parser.get("include", "files").split()
            except configparser.Error:
                patterns = []
            found = [text]
            for pattern in patterns:
                pattern = os.path.join(here, pattern.replace("%(here)s", here))
                found += [reader.text(name) for name in reader.glob(pattern)]
            return found
    return []
