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

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._module import (
    AnsibleModule,
    show_headers,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._questions.health import (
    OPTIONS,
    ask,
)


def main() -> None:
    module = AnsibleModule(argument_spec=dict(OPTIONS), supports_check_mode=True)
    show_headers(module, module.params["headers"])
    try:
        told = ask(module.params)
    except FleetError as exc:
        module.fail_json(msg=str(exc))
    if told.pop("failed", False):
        module.fail_json(**told)
    module.exit_json(changed=False, **told)


if __name__ == "__main__":
    main()
