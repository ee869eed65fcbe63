#!/usr/bin/env bash
# Install what the benchmarks compare wslive with into build/bench/, which git ignores: packages of Node's, pinned.
set -euo pipefail
cd "$(dirname "$0")/.."

# bufferutil is what makes ws as fast as it can be. uWebSockets.js is in no registry under its own name; this package
# carries its binaries, and they load on systems with a C library that is not too old.
packages=(
    ws@8.23.0
    bufferutil@4.1.0
    socket.io@4.8.4
    @trufflesuite/uws-js-unofficial@20.30.0-unofficial.0
)
target=build/bench
stamp=$target/node_modules/.installed

if [ "$(cat $stamp 2>/dev/null)" != "${packages[*]}" ]; then
    command -v npm >/dev/null || { echo "The peers need Node.js and npm; tools/node.sh installs them." >&2; exit 1; }
    echo "Installing ${packages[*]} into $target/." >&2
    mkdir -p $target
    npm install --no-package-lock --no-save --no-audit --no-fund --loglevel=error --prefix $target "${packages[@]}" >&2
    echo "${packages[*]}" >$stamp
fi
