import pytest

# The suite that every activity passes fails with the same detail as a test file.
pytest.register_assert_rewrite("tests.activities.contract")
