"""The card in JupyterLab's launcher, which is written without a Node build: a release of JupyterLab may break it."""

from playwright.sync_api import expect

from tests.end_to_end.browser import Pages
from tests.end_to_end.lab import Lab, Notebook


def test_the_card_opens_a_notebook_that_hosts(lab: Lab, new_page: Pages) -> None:
    page = new_page()
    page.goto(lab.url("lab"))
    page.wait_for_function("() => window.jupyterapp?.restored")
    page.evaluate("() => window.jupyterapp.commands.execute('launcher:create')")
    card = page.locator(".jp-LauncherCard", has_text="Live room")
    expect(card).to_be_visible()
    # JupyterLab gives the whole category the icon of its first card: that is not to be ours.
    others = page.locator(".jp-Launcher-section", has=card)
    expect(others.locator(".jp-LauncherCard").first).to_contain_text("Terminal")
    card.click()
    notebook = Notebook(page)
    notebook.wait_ready()
    expect(notebook.cell(0)).to_contain_text('room = wslive.host("My room")')
    assert page.locator(".jp-Notebook .jp-Cell").count() == 2
    notebook.run_all()
    expect(notebook.output(0).get_by_role("heading", name="My room")).to_be_visible()
    notebook.wait_for_chart(1, [0, 0, 0])


def test_the_command_is_in_the_palette(lab: Lab, new_page: Pages) -> None:
    page = new_page()
    page.goto(lab.url("lab/workspaces/palette"))  # an empty one: a notebook that opens again would take the focus
    expect(page.locator(".jp-LauncherCard", has_text="Live room")).to_be_visible()
    # Not by its keys: JupyterLab hears them a moment after it has been restored.
    page.evaluate("() => window.jupyterapp.commands.execute('apputils:activate-command-palette')")
    palette = page.locator("#modal-command-palette")
    expect(palette).to_be_visible()
    palette.locator("input").fill("New Live Room")
    expect(page.locator(".lm-CommandPalette-item", has_text="New Live Room").first).to_be_visible()
