import os

import pytest

from wslive.notebook import keys
from wslive.notebook.keys import HostKey
from wslive.notebook.private_files import data_folder


def test_host_keys_are_kept_by_server_and_code_the_latest_first() -> None:
    keys.keep_host(HostKey("own", "AAAAAA", "Sorting", "hk_1", 1.0))
    keys.keep_host(HostKey("own", "BBBBBB", "Sorting", "hk_2", 2.0))
    keys.keep_host(HostKey("http://other", "AAAAAA", "Sorting", "hk_3", 3.0))
    keys.keep_host(HostKey("own", "AAAAAA", "Sorting", "hk_4", 1.0))
    assert [key.host_key for key in keys.hosted("own")] == ["hk_2", "hk_4"]
    keys.forget_host("own", "BBBBBB")
    assert [key.code for key in keys.hosted("own")] == ["AAAAAA"]


def test_tokens_belong_to_server_code_notebook_and_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JPY_SESSION_NAME", "/home/ada/one.ipynb")
    keys.keep_token("own", "AAAAAA", "Ada", "secret-1")
    keys.keep_token("own", "AAAAAA", None, "secret-2")
    assert keys.token("own", "AAAAAA", "Ada") == "secret-1"
    assert keys.token("own", "AAAAAA", None) == "secret-2"
    assert keys.token("own", "BBBBBB", "Ada") is None
    monkeypatch.setenv("JPY_SESSION_NAME", "/home/ada/two.ipynb")
    assert keys.token("own", "AAAAAA", "Ada") is None


def test_a_forgotten_token_is_gone() -> None:
    keys.keep_token("own", "AAAAAA", "Ada", "secret")
    keys.forget_token("own", "AAAAAA", "Ada")
    assert keys.token("own", "AAAAAA", "Ada") is None


def test_the_file_is_for_its_owner_alone() -> None:
    keys.keep_token("own", "AAAAAA", "Ada", "secret")
    assert os.stat(data_folder() / "keys.json").st_mode & 0o777 == 0o600


def test_no_secret_is_in_a_representation() -> None:
    assert "hk_1" not in repr(HostKey("own", "AAAAAA", "Sorting", "hk_1", 1.0))
    assert "secret" not in repr(keys.Token("own", "AAAAAA", "nb", "Ada", "secret"))


def test_without_a_notebooks_path_its_folder_stands_for_it() -> None:
    assert keys.notebook_id() == os.getcwd()
