import msgspec
import pytest

from wslive.core.activity import CommandSpec, EventSpec, event_specs
from wslive.core.errors import BadCommand
from wslive.core.roles import HOSTS


class Move(msgspec.Struct, frozen=True):
    steps: int
    name: str = "north"


@pytest.fixture
def spec() -> CommandSpec:
    return CommandSpec(Move, HOSTS)


def test_a_body_is_decoded_into_its_type(spec: CommandSpec) -> None:
    assert spec.decode(msgspec.Raw(b'{"steps":3}')) == Move(3)
    assert spec.decode(b'{"steps":3,"name":"south","later":[1]}') == Move(3, "south")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{}", "steps"),
        (b'{"steps":"3"}', r"\$\.steps"),
        (b'{"steps":3.5}', r"\$\.steps"),
        (b'{"steps":1e999}', "steps|number"),
        (b'{"steps":3,"name":null}', r"\$\.name"),
        (b"[]", "object"),
        (b"null", "object"),
        (b"", "truncated"),
        (b'{"steps":3', "truncated"),
        (b'{"steps":3}}', "trailing"),
        (b'{"steps":3,"name":"\xff"}', "utf-8"),
        (b'{"steps":3,"name":"\\ud800 alone"}', "wrong shape"),
        (b'{"later":' + b"[" * 100_000, "wrong shape"),
    ],
)
def test_a_body_of_another_shape_is_refused_and_the_place_is_named(spec: CommandSpec, body: bytes, said: str) -> None:
    with pytest.raises(BadCommand, match="wrong shape") as caught:
        spec.decode(body)
    assert caught.match(said)


def test_events_are_looked_up_by_kind_and_version_and_by_type() -> None:
    class Moved(msgspec.Struct, frozen=True):
        steps: int

    class MovedBefore(msgspec.Struct, frozen=True):
        feet: int

    new, old = EventSpec("moved", 2, Moved), EventSpec("moved", 1, MovedBefore)
    by_key, by_type = event_specs(new, old)
    assert by_key == {("moved", 2): new, ("moved", 1): old}
    assert by_type == {Moved: new, MovedBefore: old}
    assert by_key["moved", 1].decode(b'{"feet":3}') == MovedBefore(3)
