# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._gunicorn import snapshot


@pytest.mark.parametrize(
    "listener, wanted, clash",
    [
        ("127.0.0.1:80", "127.0.0.1:80", True),
        ("0.0.0.0:80", "127.0.0.1:80", True),
        ("127.0.0.1:80", "[::]:80", True),
        ("127.0.0.1:80", "127.0.0.2:80", False),
        ("127.0.0.1:80", "127.0.0.1:8", False),
        ("unix:/a", "unix:/a", True),
        ("unix:/a:80", "0.0.0.0:80", False),
    ],
)
def test_clashes(listener, wanted, clash):
    assert snapshot.clashes(listener, [wanted]) is clash
