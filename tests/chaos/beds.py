# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The kinds of fleet that cases are played on, by name; a further kind is a line here."""

from __future__ import annotations

from tests.chaos.bed import HAPROXY, NGINX, PROBE, Bed
from tests.chaos.probe_bed import ProbeBed
from tests.chaos.unit_bed import UnitBed

KINDS: dict[str, type[Bed]] = {HAPROXY: Bed, NGINX: UnitBed, PROBE: ProbeBed}
