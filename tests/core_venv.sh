#!/usr/bin/env bash
# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Makes a virtualenv for another ansible-core: core_venv.sh DIRECTORY REQUIREMENTS VERSION...
# takes the first of the Python versions that can be found.
set -euo pipefail
directory=$1 requirements=$2
shift 2

candidates() { # every place in which a Python of that version may be
  type -ap "python$1" || true
  ls -d "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$1".*/bin/python"$1" 2>/dev/null || true
  ls -d "${UV_PYTHON_INSTALL_DIR:-$HOME/.local/share/uv/python}"/*/bin/python"$1" 2>/dev/null || true
  ls -d /opt/*/bin/python"$1" 2>/dev/null || true
}

for version in "$@"; do
  while read -r python; do
    # A shim of pyenv may have nothing behind it.
    if "$python" -c 'import ssl, venv' 2>/dev/null; then
      echo "Installing $(grep -o '^ansible-core.*' "$requirements") into $directory ($python) ..."
      rm -rf "$directory"
      "$python" -m venv "$directory"
      exec "$directory/bin/python" -m pip install --quiet --disable-pip-version-check -r "$requirements"
    fi
  done < <(candidates "$version")
done
echo "core_venv: $requirements wants one of Python $*, and none was found in PATH, pyenv, uv or /opt." >&2
exit 1
