"""What a server wants to see of this user's own programs with every request, where it wants anything.

`wslive serve` wants nothing here: who may do what is said in hello, and in the calls of hosts. A Jupyter Server lets
nobody near its rooms who has not logged in, its own kernels neither; these show the server's hosting token instead,
which they find where only their user can read. A service of a JupyterHub wants to see the token of the notebook's own
server. It goes into a header of the request, never into an address.
"""

from __future__ import annotations

from wslive.wire.messages import PASS_HEADER

_passes: dict[str, str] = {}


def keep(server: str, bearer: str) -> None:
    """Show `bearer` to the server at that base URL from now on."""
    _passes[server.rstrip("/")] = bearer


def header(server: str) -> dict[str, str]:
    """The header for a request to the server at that base URL; empty where it wants none."""
    bearer = _passes.get(server.rstrip("/"))
    return {} if bearer is None else {"Authorization": f"Bearer {bearer}"}


def beside(server: str, bearer: str) -> dict[str, str]:
    """The headers for a request that shows a credential of its own: what the server wants to see goes into another."""
    shown = _passes.get(server.rstrip("/"))
    headers = {"Authorization": f"Bearer {bearer}"}
    return headers if shown is None else {**headers, PASS_HEADER: shown}
