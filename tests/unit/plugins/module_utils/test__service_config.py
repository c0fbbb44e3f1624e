# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from ansible_collections.fleetops.gunicorn.plugins.module_utils import _service_config


def test_the_section_of_a_program_is_found_in_any_of_the_files():
    texts = ["[supervisord]\n", "rubbish", "[program:app]\ncommand=x ; y\nstopasgroup=true ; why\n"]
    found = _service_config.parse_supervisor_config(texts, "app", "app")
    assert found == {"command": "x", "stopasgroup": "true"}
    assert _service_config.parse_supervisor_config(texts, "app", "app_00") == found
    assert _service_config.parse_supervisor_config(texts, "other", "other") == {}
