# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What installers note in a virtualenv, and what may stay of it."""

import json
import os

from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages import venv

from tests.unit.plugins.module_utils._host.paper_machine import dist, make_venv


def test_credentials_are_taken_out_of_where_a_package_came_from(tmp_path):
    site = make_venv(tmp_path / "venv")
    dist(site, "plain", "1.0", {"url": "https://host/plain.whl", "archive_info": {}})
    dist(site, "secret", "1.0", {"url": "https://u:pw@host/x.whl?access_token=hunter2&v=1"})
    folder = site / "secret-1.0.dist-info"
    record = "secret-1.0.dist-info/METADATA,sha256=x,1\nsecret-1.0.dist-info/direct_url.json,{}\n"
    (folder / "RECORD").write_text(record.format("sha256=y,2"))
    cache = tmp_path / "cache"
    os.link(str(folder / "direct_url.json"), str(cache))
    before = cache.read_text()
    plain = (site / "plain-1.0.dist-info/direct_url.json").stat()
    venv.strip_credentials(str(tmp_path / "venv"))
    url = json.loads((folder / "direct_url.json").read_text())["url"]
    assert url == "https://***@host/x.whl?access_token=***&v=1"
    assert (folder / "RECORD").read_text() == record.format(",")
    assert cache.read_text() == before
    assert (site / "plain-1.0.dist-info/direct_url.json").stat() == plain
