#!/usr/bin/env bash
# See that there is what `make torture` fuzzes the decoders with, where it can be installed; elsewhere say so, and go on
# with the other attacks. Nothing of wslive needs it.
set -euo pipefail
cd "$(dirname "$0")/.."

if .venv/bin/python -c 'import atheris' 2>/dev/null; then
    exit
fi
echo "Installing atheris into .venv."
if ! .venv/bin/python -m pip install --quiet --disable-pip-version-check --only-binary atheris --editable ".[torture]"; then
    cat >&2 <<END
atheris has no build for this system ($(uname -sm), $(.venv/bin/python --version)); it has one for Linux on x86-64 and
Python 3.11 to 3.13. The attack that needs it will be skipped, all others run.
END
fi
