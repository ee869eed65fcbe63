"""`python -m wslive`: the same as the command `wslive`."""

from wslive.cli import main

main(prog_name="wslive")
