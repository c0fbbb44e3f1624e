# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which package index is asked."""

from __future__ import annotations


class ModuleDocFragment:
    """Options in the words of a module's documentation."""

    DOCUMENTATION = r"""
options:
  index_url:
    description:
      - Package index; without it the host's own configuration holds (pip's is translated for uv).
      - Replaces the host's further indexes too. Credentials in it reach the installer by
        environment only.
    type: str
  extra_index_urls:
    description: Further package indexes.
    type: list
    elements: str
    default: []
"""
