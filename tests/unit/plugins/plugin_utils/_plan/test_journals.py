# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan says whose journal the gates will read."""

import pytest
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._plan.journals import logs_read


@pytest.mark.parametrize(
    ("host", "info", "told"),
    [
        ({}, {"logs": ["journal:app.service"]}, ["the journal of app.service"]),
        ({}, {"logs": ["journal-user:a.service", "/l"]}, ["the journal of a.service", "/l"]),
        ({}, {"logs": ["/var/log/app.log"]}, []),
        ({"gate_log_paths": ["/l"]}, {"logs": ["journal:app.service"]}, []),
        ({"gate_log_paths": ["journal:b"]}, {"logs": ["/l"]}, ["the journal of b"]),
        ({"gate_log_paths": "{{ odd }}"}, {"logs": None}, []),
        ({}, {}, []),
    ],
)
def test_where_the_gates_read(host, info, told):
    assert logs_read(host, info) == told
