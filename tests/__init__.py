"""The tests of wslive: they mirror the package; real browsers and servers are in end_to_end/."""
