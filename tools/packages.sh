# Sourced by the scripts beside it: Debian packages, with root's rights or by saying what to type.

# Run a command with root's rights; it fails where those need a password.
as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n -- "$@"; fi
}

# install_packages WHY PACKAGE... : install them, or print the command that does and fail.
install_packages() {
    local why=$1
    shift
    if ! command -v apt-get >/dev/null; then
        printf '%s\nInstall what Debian calls: %s\n' "$why" "$*" >&2
        return 1
    fi
    if ! as_root true 2>/dev/null; then
        printf '%s\nType this, then try again:\n    sudo apt-get update && sudo apt-get install -y %s\n' "$why" "$*" >&2
        return 1
    fi
    printf '%s Installing %s.\n' "$why" "$*"
    # A machine that has just started may be at its own updates: wait for the lock.
    as_root apt-get -o DPkg::Lock::Timeout=300 update -qq
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends "$@" >/dev/null
}
