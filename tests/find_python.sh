#!/usr/bin/env bash
# find_python.sh VERSION: print an interpreter of that version ("3.6") that works; exit 1 without one.
set -euo pipefail

candidates() {
    type -ap "python$1" || true
    ls -d "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$1".*/bin/python"$1" 2>/dev/null || true
    ls -d "${UV_PYTHON_INSTALL_DIR:-$HOME/.local/share/uv/python}"/*/bin/python"$1" 2>/dev/null || true
    ls -d /opt/*/bin/python"$1" 2>/dev/null || true
}

while read -r python; do
    # A shim of pyenv may have nothing behind it.
    if "$python" -c 'import ssl, venv' 2>/dev/null; then
        echo "$python"
        exit 0
    fi
done < <(candidates "$1")
exit 1
