import pytest

from tests.eventlog.contract import EventLogContract
from wslive.eventlog.memory import MemoryLog


class TestMemoryLog(EventLogContract):
    @pytest.fixture
    def log(self) -> MemoryLog:
        return MemoryLog()
