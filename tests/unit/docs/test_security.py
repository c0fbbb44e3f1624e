# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What docs/security.md tells to copy is what molecule's scenario was run with."""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
FILES = sorted((ROOT / "molecule/deploy_user/files").iterdir())


def test_there_are_some():
    assert [file.name for file in FILES] == ["haproxy.cfg", "sshd.conf", "sudoers", "tmpfiles.conf"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_the_documentation_has_the_file_as_it_is(file):
    block = "".join(f"    {line}\n" for line in file.read_text().splitlines())
    assert f"\n\n{block}\n" in (ROOT / "docs/security.md").read_text()
