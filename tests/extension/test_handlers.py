"""The handlers of the extension, as far as they can be looked at without a server: the rest is in tests/end_to_end."""

import logging
import re

import pytest
from tornado.web import RequestHandler

from wslive.extension.handlers import routes
from wslive.extension.mount import Mount

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
