#!/usr/bin/env bash
# See that there is what `make torture` runs Socket.IO's own server with: its packages, beside the programs that use
# them, and Debian's redis-server for its adapter. Nothing of wslive needs them.
set -euo pipefail
cd "$(dirname "$0")/.."
source tools/packages.sh

packages=(
    socket.io@4.8.4
    @socket.io/redis-streams-adapter@0.3.1
    redis@4.7.1
)
prefix=tests/torture/socketio
stamp=$prefix/node_modules/.installed

if ! command -v redis-server >/dev/null; then
    install_packages "The comparison with Socket.IO's Redis adapter needs a Redis." redis-server
fi
if [ "$(cat $stamp 2>/dev/null)" != "${packages[*]}" ]; then
    echo "Installing ${packages[*]} into $prefix/node_modules/."
    npm install --no-package-lock --no-save --no-audit --no-fund --loglevel=error --prefix $prefix "${packages[@]}" >/dev/null
    echo "${packages[*]}" >$stamp
fi
