"""Options that are added to a command together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import click
import pytest
from click.testing import CliRunner

from wslive.cli.additions import Addition


@dataclass
class Tea(Addition):
    options = (
        click.option("--tea", is_flag=True, help="Serve tea."),
        click.option("--sugar", "lumps", default=0, help="With so many lumps of sugar."),
    )
    package = "json"
    extra = "tea"

    tea: bool
    lumps: int

    def check(self, is_wished: bool, others: dict[str, Any]) -> None:
        if self.lumps and not is_wished:
            raise click.UsageError("--sugar belongs to --tea.")
        if is_wished and others["cold"]:
            raise click.UsageError("--tea does not go with --cold.")


@click.command()
@Tea.may_be_asked_of
@click.option("--cold", is_flag=True)
def serve(**given: Any) -> None:
    click.echo(f"{Tea.taken_from(given)}, {given}")


def said(*arguments: str) -> str:
    return CliRunner().invoke(serve, arguments).output


def test_options_are_given_in_their_order_and_taken_out_again() -> None:
    assert said("--tea", "--sugar", "2") == "Tea(tea=True, lumps=2), {'cold': False}\n"
    assert said("--cold") == "None, {'cold': True}\n"
    told = said("--help")
    assert told.index("--tea") < told.index("--sugar") < told.index("--cold")


def test_what_does_not_go_together_is_a_mistake_of_usage() -> None:
    assert "Error: --sugar belongs to --tea." in said("--sugar", "1")
    assert "Error: --tea does not go with --cold." in said("--tea", "--cold")


def test_what_is_not_installed_is_told_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Tea, "package", "a_package_that_is_not_there")
    assert "For --tea install the extra: pip install 'wslive[tea]'" in said("--tea")
