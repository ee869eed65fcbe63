"""Measurements that anyone can run: a real server in a process of its own, and the load in another.

Each module is a program with `--help`, e.g. `python -m benchmarks.votes`; `make bench` runs them all.
"""
