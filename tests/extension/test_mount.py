"""What all handlers of the extension know."""

import logging
from typing import Any

import pytest
from tornado.web import Application, RequestHandler

from wslive.extension import handlers
from wslive.extension.mount import Mount, WithoutCodes, claimed_by


@pytest.fixture
def mount() -> Mount:
    return Mount("/user/ada/wslive", logging.getLogger("tests.requests"))


@pytest.mark.parametrize(
    ("line", "written"),
    [
        ("403 GET /wslive/r/K7M2QX (@127.0.0.1) 0.60ms", "403 GET /wslive/r/… (@127.0.0.1) 0.60ms"),
        ("302 GET /user/x/wslive/r/K7M2QX/screen?a=b", "302 GET /user/x/wslive/r/…/screen?a=b"),
        ("403 GET /wslive/api/rooms/K7M2QX/events", "403 GET /wslive/api/rooms/…/events"),
        ("403 GET /wslive/ referer=http://x/wslive/r/K7M2QX", "403 GET /wslive/ referer=http://x/wslive/r/…"),
        ("403 GET /wslive/api/server?room=K7M2QX&a=b", "403 GET /wslive/api/server?room=…&a=b"),
        ("200 GET /wslive/static/page.js", "200 GET /wslive/static/page.js"),
    ],
)
def test_join_codes_are_taken_out_of_jupyters_lines(line: str, written: str) -> None:
    record = logging.LogRecord("x", logging.INFO, "", 0, "%s", (line,), None)
    assert WithoutCodes().filter(record)
    assert record.getMessage() == written


def test_only_the_hosting_token_is_one(mount: Mount) -> None:
    assert not mount.knows("Bearer ")

    class Has:
        hosting_token = "ht_secret"

    mount.server = Has()  # type: ignore[assignment]
    assert mount.knows("Bearer ht_secret")
    assert mount.knows("bearer  ht_secret ")
    for header in ("", "Bearer", "Bearer ht_secre", "Bearer ht_secret2", "token ht_secret", "Basic ht_secret"):
        assert not mount.knows(header), header


class _Other(RequestHandler):
    pass


@pytest.mark.parametrize(
    ("pattern", "is_claim"),
    [
        (r"/wslive/?", True),
        (r"/wslive/(.*)", True),
        (r"/(wslive)/.*", True),
        (r".*/", False),  # Jupyter's redirect of slashes
        (r"(.*)", False),
        (r"/wslive-extras/(.*)", False),
        (r"/lab/(.*)", False),
    ],
)
@pytest.mark.parametrize("is_first", [True, False])
def test_another_extension_at_our_path_is_found_wherever_it_stands(
    mount: Mount, pattern: str, is_claim: bool, is_first: bool
) -> None:
    mount.path = "/wslive"
    application: Any = Application()
    added = [[(pattern, _Other)], handlers.routes(mount)]
    for rules in added if is_first else reversed(added):
        application.add_handlers(".*$", rules)
    assert claimed_by(application, "/wslive", handlers.__name__) == (_Other.__module__ if is_claim else None)
