#!/usr/bin/python
# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: metric_info
short_description: Ask a Prometheus, or any page of JSON, for single numbers
version_added: 0.1.0
description:
  - Asks each question once, in bounded time and size. TLS is verified; a redirect is not followed.
  - What cannot be asked is told in RV(answers); it is never a failure.
author:
  - The fleetops.gunicorn authors (@fleetops)
extends_documentation_fragment:
  - fleetops.gunicorn.reads
options:
  questions:
    description: What to ask.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the metric; comes back with its answer.
        type: str
        required: true
      who:
        description: Of whom it is asked; comes back with its answer.
        type: str
        default: ""
      kind:
        description: What answers.
        type: str
        choices: [prometheus, http_json]
        required: true
      url:
        description: Base URL of the Prometheus, or the whole URL of the page.
        type: str
        required: true
      query:
        description: With C(prometheus), a query that gives one series.
        type: str
        default: ""
      path:
        description: With C(http_json), where the number stands, such as C(stats.latency.0).
        type: str
        default: ""
      at:
        description:
          - With C(prometheus), the moment that is asked of, in seconds since the epoch; V(0) is
            now.
        type: float
        default: 0
      headers:
        description: Headers of the request, such as C(Authorization); never logged.
        type: dict
        default: {}
      timeout:
        description: Seconds for one request.
        type: float
        default: 5
"""

EXAMPLES = r"""
- name: Ask for the share of errors
  fleetops.gunicorn.metric_info:
    questions:
      - name: errors
        kind: prometheus
        url: https://prometheus.example.net
        query: sum(rate(app_errors_total{instance="web1:8000"}[1m]))
  delegate_to: localhost
"""

RETURN = r"""
answers:
  description: One for each question, in their order.
  returned: success
  type: list
  elements: dict
  contains:
    name: {description: As asked., type: str, returned: always}
    who: {description: As asked., type: str, returned: always}
    state:
      description:
        - V(value), V(empty) or V(several) where there is not one number, V(error) where it could
          not be asked.
      type: str
      returned: always
    value: {description: The number as text; it may be C(nan)., type: str, returned: always}
    at: {description: "Of when it is, in seconds since the epoch.", type: float, returned: always}
    error: {description: Why there is no value., type: str, returned: always}
"""

import time

from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.metric import ask, get_json
from ansible_collections.fleetops.gunicorn.plugins.module_utils._module import (
    AnsibleModule,
    show_headers,
)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "questions": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "name": {"type": "str", "required": True},
                    "who": {"type": "str", "default": ""},
                    "kind": {
                        "type": "str",
                        "choices": ["prometheus", "http_json"],
                        "required": True,
                    },
                    "url": {"type": "str", "required": True},
                    "query": {"type": "str", "default": ""},
                    "path": {"type": "str", "default": ""},
                    "at": {"type": "float", "default": 0},
                    "headers": {"type": "dict", "default": {}, "no_log": True},
                    "timeout": {"type": "float", "default": 5},
                },
            }
        },
        supports_check_mode=True,
    )
    for question in module.params["questions"]:
        show_headers(module, question["headers"])
    module.exit_json(
        changed=False,
        answers=[ask(question, get_json, time.time) for question in module.params["questions"]],
    )


if __name__ == "__main__":
    main()
