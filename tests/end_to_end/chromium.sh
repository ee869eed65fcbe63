#!/bin/sh
# Start $CHROMIUM_PROGRAM as it is told to, but without what each new window prepares for a person who might want it: the
# page behind the address bar, and a process for the next site. That is a second of a core for every window of a test.
# Of two lists of features Chromium takes the last, and Playwright has one already, so that one is made longer.
unwanted=WebUIOmniboxPopup,WebUIOmniboxAimPopup,WebUIOmniboxFullPopup,SpareRendererForSitePerProcess
for argument; do
    shift
    case $argument in
        --disable-features=*) argument="$argument,$unwanted" ;;
    esac
    set -- "$@" "$argument"
done
exec "$CHROMIUM_PROGRAM" "$@"
