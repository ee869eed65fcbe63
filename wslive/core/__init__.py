"""The rules of a room: values and pure functions, no I/O, clock or randomness.

Read `room` first (what a command may do and what an event means), then `activity` (the contract that every
kind of activity fulfils) and `view` (what leaves the room).
"""
