"""wslive."""
