#!/usr/bin/env bash
# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Succeeds where `make molecule` can start a container: asked by starting one.
engine=${FLEET_ENGINE:-podman}
command -v "$engine" >/dev/null && timeout 120 "$engine" run --rm docker.io/library/debian:bookworm-slim true >/dev/null 2>&1
