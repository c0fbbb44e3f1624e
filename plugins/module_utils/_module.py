# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible's module with one door: what a module says can be shown on any terminal.

Whichever callback shows it, at whichever verbosity: results, errors and warnings pass here.
"""

import re
from typing import TYPE_CHECKING, Any, Callable, List, Mapping, Optional

from ansible.module_utils import basic
from ansible_collections.fleetops.gunicorn.plugins.module_utils._redact import (
    NAME as SECRET_NAME,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._visible import (
    visible,
    visible_all,
)

if TYPE_CHECKING:
    # Python 3.6.0 and 3.6.1 do not have it.
    from typing import NoReturn


class AnsibleModule(basic.AnsibleModule):
    """Every module of this collection is one of these."""

    def exit_json(self, **kwargs: Any) -> "NoReturn":
        super().exit_json(**visible_all(kwargs))

    def fail_json(self, msg: str, **kwargs: Any) -> "NoReturn":
        super().fail_json(visible(str(msg)), **visible_all(kwargs))

    def warn(self, warning: str, **kwargs: Any) -> None:
        super().warn(visible(str(warning)), **kwargs)


def show_headers(module: basic.AnsibleModule, headers: Mapping[Any, Any]) -> None:
    """Of headers that are never logged (no_log), let what is no secret be shown in messages."""
    for name, value in headers.items():
        if not re.search(SECRET_NAME, str(name), re.IGNORECASE):
            module.no_log_values.discard(str(value))


def runner(module: basic.AnsibleModule) -> Callable[[List[str]], Optional[str]]:
    """Return what starts a command and gives its output, or None where it fails."""

    def run(command: List[str]) -> Optional[str]:
        code, output, _error = module.run_command(command, handle_exceptions=False)
        return str(output) if code == 0 else None

    return run
