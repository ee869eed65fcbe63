"""The handlers of the extension, as far as they can be looked at without a server: the rest is in tests/end_to_end."""

import logging
import re
from typing import Any

import pytest
from tornado.web import Application, RequestHandler

from wslive.extension.handlers import Mount, WithoutCodes, claimed_by, routes

PATH = "/user/a+b (c)/wslive"


@pytest.fixture
def mount() -> Mount:
    return Mount(PATH, logging.getLogger("tests.requests"))


def test_every_method_says_whether_it_needs_a_login(mount: Mount) -> None:
    for path, handler, _ in routes(mount):
        own = {
            name: getattr(handler, name.lower())
            for name in handler.SUPPORTED_METHODS
            if getattr(handler, name.lower()) is not RequestHandler._unimplemented_method
        }
        assert own, path
        for name, method in own.items():
            says = hasattr(method, "__allow_unauthenticated") or hasattr(method, "__wrapped__")
            assert says, f"{name} {path}"


def test_the_path_is_no_pattern(mount: Mount) -> None:
    patterns = [path for path, _, _ in routes(mount)]
    assert any(re.fullmatch(pattern, f"{PATH}/r/K7M2QX") for pattern in patterns)
    assert not any(re.fullmatch(pattern, "/user/aab c/wslive/r/K7M2QX") for pattern in patterns)


@pytest.mark.parametrize(
    ("line", "written"),
    [
        ("403 GET /wslive/r/K7M2QX (@127.0.0.1) 0.60ms", "403 GET /wslive/r/… (@127.0.0.1) 0.60ms"),
        ("302 GET /user/x/wslive/r/K7M2QX/screen?a=b", "302 GET /user/x/wslive/r/…/screen?a=b"),
        ("403 GET /wslive/api/rooms/K7M2QX/events", "403 GET /wslive/api/rooms/…/events"),
        ("403 GET /wslive/ referer=http://x/wslive/r/K7M2QX", "403 GET /wslive/ referer=http://x/wslive/r/…"),
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
    added = [[(pattern, _Other)], routes(mount)]
    for handlers in added if is_first else reversed(added):
        application.add_handlers(".*$", handlers)
    assert claimed_by(application, "/wslive") == (_Other.__module__ if is_claim else None)
