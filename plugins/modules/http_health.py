#!/usr/bin/python
# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: http_health
short_description: Wait for several healthy HTTP answers in a row
version_added: 0.1.0
description:
  - Asks a URL from the host itself until enough good answers came one after the other.
  - Follows no redirect, uses no proxy and never retries a single request.
author:
  - The fleetops.gunicorn authors (@fleetops)
attributes:
  check_mode:
    support: full
    description: Only asks; changes nothing in either mode.
  diff_mode:
    support: none
    description: There is nothing to compare.
  platform:
    platforms: posix
    support: full
    description: Where the module runs.
options:
  url:
    description:
      - What to ask, V(http://127.0.0.1:8000/healthz), V(https://127.0.0.1/healthz), or
        V(unix:/run/app.sock:/healthz) for a Unix socket.
      - The certificate of an V(https) URL is not checked; the host asks itself.
    type: str
    required: true
  status:
    description:
      - Statuses of a good answer.
    type: list
    elements: int
    default: [200]
  body:
    description:
      - Regular expression that a good answer's body must contain; empty for any body.
      - The first 64 KiB are looked at.
    type: str
    default: ""
  consecutive:
    description:
      - How many good answers in a row are needed.
    type: int
    default: 1
  timeout:
    description:
      - Seconds in which they must come. There is always at least one attempt.
    type: float
    default: 30
  answer_timeout:
    description:
      - Seconds in which one answer must come.
    type: float
    default: 5
  headers:
    description:
      - Headers to send, by name. With C(Host) the application sees this name instead of that of the
        URL, and a server that speaks TLS is asked for it.
      - A value whose name sounds like a secret (C(Authorization), C(Cookie), C(X-Api-Key)) is
        not shown.
    type: dict
    default: {}
  interval:
    description:
      - Seconds to wait after a bad answer.
    type: float
    default: 0.5
"""

EXAMPLES = r"""
- name: Prove that the application serves
  fleetops.gunicorn.http_health:
    url: http://127.0.0.1:8000/healthz
    consecutive: 3
    headers:
      Host: www.example.org
      X-Forwarded-Proto: https
"""

RETURN = r"""
answers:
  description: How often it was asked.
  returned: always
  type: int
  sample: 3
seconds:
  description: How long it took.
  returned: always
  type: float
  sample: 0.2
"""

import time

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.health import (
    check_expectation,
    check_headers,
    sent_host,
    watch,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.http_request import (
    ask,
    default_host,
    parse_url,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._module import (
    AnsibleModule,
    show_headers,
)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "url": {"type": "str", "required": True},
            "status": {"type": "list", "elements": "int", "default": [200]},
            "body": {"type": "str", "default": ""},
            "consecutive": {"type": "int", "default": 1},
            "timeout": {"type": "float", "default": 30},
            "answer_timeout": {"type": "float", "default": 5},
            "headers": {"type": "dict", "default": {}, "no_log": True},
            "interval": {"type": "float", "default": 0.5},
        },
        supports_check_mode=True,
    )
    params = module.params
    show_headers(module, params["headers"])
    try:
        headers = check_headers(params["headers"])
        target = parse_url(params["url"])
        expected = check_expectation(params["status"], params["body"], params["consecutive"])
    except FleetError as exc:
        module.fail_json(msg=str(exc))
    health = watch(
        lambda: ask(target, params["answer_timeout"], time.monotonic, headers, True),
        expected,
        params["timeout"],
        params["interval"],
        time.monotonic,
        time.sleep,
    )
    if not health.healthy:
        module.fail_json(
            msg=(
                f"Asked {params['url']} (Host: {sent_host(headers, default_host(target))}) for"
                f" {expected.consecutive} healthy answers in a row, and"
                f" after {health.seconds:.1f} s and {health.answers} answers the last one was:"
                f" {health.last}."
                " Look at the application's log and at the URL (app_health_url)."
            ),
            answers=health.answers,
            seconds=health.seconds,
        )
    module.exit_json(changed=False, answers=health.answers, seconds=health.seconds)


if __name__ == "__main__":
    main()
