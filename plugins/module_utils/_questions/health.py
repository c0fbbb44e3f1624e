# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether an application answers as it should, so many times in a row."""

import time
from typing import Any, Dict

from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.health import (
    check_expectation,
    check_headers,
    sent_host,
    watch,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.http_request import (
    ask as ask_url,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.http_request import (
    default_host,
    parse_url,
)

OPTIONS: Dict[str, Dict[str, Any]] = {
    "url": {"type": "str", "required": True},
    "status": {"type": "list", "elements": "int", "default": [200]},
    "body": {"type": "str", "default": ""},
    "consecutive": {"type": "int", "default": 1},
    "timeout": {"type": "float", "default": 30},
    "answer_timeout": {"type": "float", "default": 5},
    "headers": {"type": "dict", "default": {}, "no_log": True},
    "interval": {"type": "float", "default": 0.5},
}


def ask(params: Dict[str, Any]) -> Dict[str, Any]:
    """Return ``answers`` and ``seconds``; of an ill application ``failed`` and ``msg`` as well.

    ``FleetError`` for options that cannot be meant.
    """
    headers = check_headers(params["headers"])
    target = parse_url(params["url"])
    expected = check_expectation(params["status"], params["body"], params["consecutive"])
    health = watch(
        lambda: ask_url(target, params["answer_timeout"], time.monotonic, headers, True),
        expected,
        params["timeout"],
        params["interval"],
        time.monotonic,
        time.sleep,
    )
    told = {"answers": health.answers, "seconds": health.seconds}
    if health.healthy:
        return told
    return dict(
        told,
        failed=True,
        msg=(
            f"Asked {params['url']} (Host: {sent_host(headers, default_host(target))}) for"
            f" {expected.consecutive} healthy answers in a row, and"
            f" after {health.seconds:.1f} s and {health.answers} answers the last one was:"
            f" {health.last}."
            " Look at the application's log and at the URL (app_health_url)."
        ),
    )
