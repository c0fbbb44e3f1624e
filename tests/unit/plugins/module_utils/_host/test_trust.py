# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import shlex

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.trust import Doubt, cure

PATH = "/srv/my app; rm -rf ~/'x"


@pytest.mark.parametrize("owned", [True, False])
@pytest.mark.parametrize("on_the_way", [True, False])
def test_what_is_to_be_typed_holds_the_path_as_one_word(owned, on_the_way):
    words = shlex.split(cure(Doubt(PATH, 12345, 54321, 0o777, owned, on_the_way)))
    assert PATH in words
    assert ";" not in words
    assert "rm" not in words
