"""Measurements that anyone can run: a real server in a process of its own, and the load in another.

`make bench` runs them all, `make bench ARGS="votes single"` those that are named; `python -m benchmarks --help` has the
names. docs/benchmarks.md says what came out, and how far to trust it.
"""
