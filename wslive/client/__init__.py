"""A room from Python: a replica of its view, a connection that comes back by itself, and a thread to run both on.

Read `replica` first (what a delta, a gap and a snapshot do to a view), then `connection`, then `background`.
"""
