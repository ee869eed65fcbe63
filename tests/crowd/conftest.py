"""A real server with a SQLite store, and a room with a host."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.crowd.lecture import Lecture


@pytest.fixture
async def lecture(tmp_path: Path) -> AsyncIterator[Lecture]:
    lecture = await Lecture.begin(tmp_path)
    yield lecture
    await lecture.end()
