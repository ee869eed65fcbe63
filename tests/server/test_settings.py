from __future__ import annotations

import dataclasses
import re

import pytest

from wslive.server.settings import Rate, ServerSettings


def test_the_hosting_token_is_not_shown():
    assert "ht_secret" not in repr(ServerSettings(hosting_token="ht_secret"))


def test_settings_do_not_change_while_a_server_runs():
    with pytest.raises(dataclasses.FrozenInstanceError):
        ServerSettings().port = 1  # type: ignore[misc]


def test_every_setting_is_explained():
    explained = set(re.findall(r"^        (\w+): ", ServerSettings.__doc__ or "", re.MULTILINE))
    assert explained == {field.name for field in dataclasses.fields(ServerSettings)}


def test_every_number_has_its_unit_in_its_name():
    units = ("_s", "_bytes", "_ops", "_size", "_participants", "_connections", "port")
    for field in dataclasses.fields(ServerSettings):
        value = getattr(ServerSettings(), field.name)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            assert field.name.endswith(units), field.name


def test_the_defaults_keep_strangers_and_networks_out():
    settings = ServerSettings()
    assert settings.host == "127.0.0.1"
    assert settings.allow_origins == ()
    assert settings.anyone_may_host is False


def test_the_usual_rates_leave_people_alone_and_stop_programs():
    settings = ServerSettings()
    assert settings.vote_rate.burst >= 20 >= settings.vote_rate.per_s
    assert settings.line_rate == Rate(per_s=1, burst=5)
