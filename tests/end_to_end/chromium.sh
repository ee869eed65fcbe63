#!/bin/sh
# Start $CHROMIUM_PROGRAM as it is told to, but without the page that every new window draws behind its address bar: each
# window of a test would pay a process and a second of a core for what nobody sees. Of two lists of features Chromium
# takes the last, and Playwright has one already, so it is made longer.
for argument; do
    shift
    case $argument in
        --disable-features=*) argument="$argument,WebUIOmniboxPopup,WebUIOmniboxAimPopup,WebUIOmniboxFullPopup" ;;
    esac
    set -- "$@" "$argument"
done
exec "$CHROMIUM_PROGRAM" "$@"
