# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the report of a run goes."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  report_directory:
    description:
      - Where reports are written, relative to the working directory; empty for nowhere.
      - It is made with mode V(0700), the reports in it with V(0600).
      - In a container (AWX, an execution environment) name a place that outlives it.
    type: str
    default: .cache/reports
    env:
      - name: FLEETOPS_REPORT_DIRECTORY
    ini:
      - section: callback_report
        key: report_directory
      - section: callback_story
        key: report_directory
  report_keep:
    description: How many reports are kept, the newest; 0 for all.
    type: int
    default: 20
    env:
      - name: FLEETOPS_REPORT_KEEP
    ini:
      - section: callback_report
        key: report_keep
      - section: callback_story
        key: report_keep
"""
