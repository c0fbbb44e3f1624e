#!/usr/bin/env bash
# Make a virtualenv for another ansible-core: core_venv.sh DIRECTORY REQUIREMENTS VERSION...
# takes the first of the Python versions that can be found.
set -euo pipefail
directory=$1 requirements=$2
shift 2

for version in "$@"; do
    if python=$(.venv/bin/python -m tests.find_python "$version"); then
        echo "Installing $(grep -o '^ansible-core.*' "$requirements") into $directory ($python) ..."
        rm -rf "$directory"
        # With pip: the images of the scenarios are built by the Python that runs molecule, and it downloads wheels.
        "$python" -m venv "$directory"
        UV_SYSTEM_CERTS=1 exec .venv/bin/uv pip install --quiet --no-config --python "$directory/bin/python" -r "$requirements"
    fi
done
echo "core_venv: $requirements wants one of Python $*, and none was found in PATH, pyenv, uv or /opt." >&2
exit 1
