#!/usr/bin/python
# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: index_info
short_description: Ask the package index which versions of a project there are
version_added: 0.1.0
description:
  - Asks the index that this host installs from, by PEP 503 or PEP 691, for final versions that are
    not yanked.
  - An index that does not answer is told in RV(error); it is never a failure.
author:
  - The fleetops.gunicorn authors (@fleetops)
extends_documentation_fragment:
  - fleetops.gunicorn.reads
  - fleetops.gunicorn.index
options:
  project:
    description: Name of the project.
    type: str
    default: gunicorn
  wheelhouse:
    description: With a wheelhouse no index is asked.
    type: str
    default: ""
  timeout:
    description: Seconds after which it is given up, however many indexes there are.
    type: float
    default: 8
"""

EXAMPLES = r"""
- name: See which gunicorns there are
  fleetops.gunicorn.index_info:
  register: index
"""

RETURN = r"""
versions:
  description: The versions, the newest first. At most 100.
  returned: success
  type: list
  elements: dict
  contains:
    version: {description: The version., type: str, returned: always, sample: 24.1.1}
    requires_python:
      description: As it was declared.
      type: str
      returned: always
      sample: ">=3.10"
asked:
  description: Whom it was asked of, without credentials.
  returned: success
  type: list
  elements: str
  sample: ["https://pypi.org/simple"]
error:
  description: Why there is no answer; empty if there is one.
  returned: success
  type: str
"""

import os

from ansible_collections.fleetops.gunicorn.plugins.module_utils._module import AnsibleModule
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.index import (
    ask_within,
    fetcher,
    indexes,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.installer import (
    Source,
    install_environment,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.requirements import (
    canonical,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._release.install import (
    _pip_configuration,
)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "project": {"type": "str", "default": "gunicorn"},
            "index_url": {"type": "str", "no_log": True},
            "extra_index_urls": {
                "type": "list",
                "elements": "str",
                "default": [],
                "no_log": True,
            },
            "wheelhouse": {"type": "str", "default": ""},
            "timeout": {"type": "float", "default": 8},
        },
        supports_check_mode=True,
    )
    p = module.params
    if p["wheelhouse"]:
        error = "packages come from a wheelhouse, so no index was asked"
        module.exit_json(changed=False, versions=[], asked=[], error=error)
    source = Source(p["index_url"] or "", tuple(p["extra_index_urls"]), "")
    environment = install_environment(os.environ, source, _pip_configuration())
    fetch = fetcher(p["timeout"], environment.get("SSL_CERT_FILE", ""))
    answer = ask_within(indexes(environment), canonical(p["project"]), fetch, p["timeout"])
    module.exit_json(
        changed=False,
        versions=[version._asdict() for version in answer.versions],
        asked=list(answer.asked),
        error=answer.error,
    )


if __name__ == "__main__":
    main()
