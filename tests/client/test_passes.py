"""What is shown to a server with every request."""

from wslive.client import passes


def test_a_server_is_shown_its_own_pass_and_no_other() -> None:
    passes.keep("http://127.0.0.1:8888/user/ada/wslive/", "ht_secret")
    assert passes.header("http://127.0.0.1:8888/user/ada/wslive") == {"Authorization": "Bearer ht_secret"}
    assert passes.header("http://127.0.0.1:8888/user/bob/wslive") == {}
    assert passes.header("http://127.0.0.1:8889/user/ada/wslive") == {}


def test_beside_another_credential_it_has_a_header_of_its_own():
    passes.keep("http://127.0.0.1:8888/services/wslive", "t-ada")
    assert passes.beside("http://127.0.0.1:8888/services/wslive/", "hk_1") == {
        "Authorization": "Bearer hk_1",
        "Wslive-Pass": "t-ada",
    }
    assert passes.beside("http://127.0.0.1:8889", "hk_1") == {"Authorization": "Bearer hk_1"}
