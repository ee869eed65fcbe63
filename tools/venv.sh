#!/usr/bin/env bash
# Make the virtual environment .venv, if there is none, and install wslive with some of its extras into it.
#
#     tools/venv.sh lab,test
#
# PYTHON names the Python to make it with; otherwise the first of python3, python3.14 … python3.11 that is
# new enough.
set -euo pipefail
cd "$(dirname "$0")/.."
source tools/packages.sh

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() {
    local candidate
    for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
        if new_enough "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    echo "wslive needs Python 3.11 or newer; found none as ${PYTHON:-python3}. Name one: PYTHON=/path/to/python3 make …" >&2
    return 1
}

if ! new_enough .venv/bin/python; then
    python=$(find_python)
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        version=$("$python" -c 'import sys; print("python{}.{}".format(*sys.version_info))')
        install_packages "$python cannot make virtual environments." "$version-venv"
    fi
    echo "Making .venv with $("$python" --version)."
    "$python" -m venv --clear .venv
fi
echo "Installing wslive[$1] into .venv; the first time this takes a minute."
.venv/bin/python -m pip install --quiet --disable-pip-version-check --editable ".[$1]"
