#!/usr/bin/env bash
# See that the end-to-end tests have a Chromium that starts, and fonts; install them where that can be done.
set -euo pipefail
cd "$(dirname "$0")/.."
source tools/packages.sh

browser() { .venv/bin/python -m tests.end_to_end.browser; }

distribution() { (. /etc/os-release 2>/dev/null && echo "${ID:-}"); }

# The tests put phones into another network namespace.
if [ "$(uname)" = Linux ] && ! command -v ip >/dev/null; then
    install_packages "The end-to-end tests make network namespaces." iproute2
fi

if browser 2>/dev/null; then
    exit
fi
why="The end-to-end tests drive a real browser and found none that starts."
if [ -n "${CHROMIUM:-}" ]; then
    :  # the last line says what is wrong with it
elif [ "$(distribution)" = ubuntu ]; then
    # Ubuntu's package "chromium" is only a pointer to a snap, which does not start in containers and cannot
    # read other programs' temporary files. Playwright's own build is a plain program. libatomic1 is for the
    # Node.js that Playwright brings along.
    install_packages "$why" libatomic1
    as_root .venv/bin/python -m playwright install-deps chromium
    .venv/bin/python -m playwright install chromium
else
    install_packages "$why" chromium fonts-noto-color-emoji libatomic1
fi
browser
