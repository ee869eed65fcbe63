#!/usr/bin/env bash
# See that there is a Node.js for the tests with the official Socket.IO client, with `ws` and with a JupyterHub, whose
# proxy is a program of Node's; and install these packages into node_modules/, which git ignores. Nothing of wslive
# itself needs Node.
set -euo pipefail
cd "$(dirname "$0")/.."
source tools/packages.sh

# The client as it is now, the first of its major version, and the one before, which the server has to turn away.
packages=(
    configurable-http-proxy@5.3.0
    socket.io-client@4.8.4
    first-socket.io-client@npm:socket.io-client@4.0.0
    older-socket.io-client@npm:socket.io-client@2.5.0
    ws@8.18.3
)
stamp=node_modules/.installed

new_enough() { node -e 'process.exit(parseInt(process.versions.node) < 18 ? 1 : 0)' 2>/dev/null; }

if ! new_enough || ! command -v npm >/dev/null; then
    install_packages "The tests of the Socket.IO gateway and of JupyterHub need Node.js, 18 or newer." nodejs npm
    if ! new_enough; then
        echo "The Node.js of this system is too old ($(node --version)): install 18 or newer, then try again." >&2
        exit 1
    fi
fi
if [ "$(cat $stamp 2>/dev/null)" != "${packages[*]}" ]; then
    echo "Installing ${packages[*]} into node_modules/."
    npm install --no-package-lock --no-save --no-audit --no-fund --loglevel=error --prefix . "${packages[@]}" >/dev/null
    echo "${packages[*]}" >$stamp
fi
echo "The end-to-end tests use Node.js $(node --version) and socket.io-client 4."
