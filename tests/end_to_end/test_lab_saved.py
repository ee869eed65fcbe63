"""What stays in a notebook: the last results, and nothing that opens anything or names anybody."""

import json
import subprocess
import sys

from playwright.sync_api import expect

from tests.end_to_end.browser import Pages
from tests.end_to_end.lab import Lab
from tests.end_to_end.own_rooms import HOST, PARTICIPANT, POLL, data_folder, keys, servers

TICKET = "wslive.ticket"


def test_a_saved_notebook_shows_the_last_results_without_a_kernel(lab: Lab, new_page: Pages) -> None:
    lab.write_notebook("kept.ipynb", [HOST.format(title="Kept"), POLL, "room"])
    host = lab.open(new_page(), "kept.ipynb")
    host.run_all()
    link = host.text(0).split()[-1]
    lab.write_notebook("kept-ada.ipynb", [PARTICIPANT.format(link=link, name="Ada"), "me.vote('merge')"])
    participant = lab.open(new_page(), "kept-ada.ipynb")
    participant.run_all()
    host.wait_for_chart(1, [0, 1, 0])
    # Closing, wherever it is called, brings the saved results up to date in the cell that shows the poll.
    host.run("poll.close()")
    host.save()
    host.shut_down_kernel()

    page = new_page()  # another browser: nothing of the first one's is in it
    page.goto(lab.url("doc/tree/kept.ipynb"))
    saved = page.locator(".wslive-output").first
    saved.wait_for()
    expect(saved).to_contain_text("Which sort is stable?")
    expect(saved).to_contain_text("1 answer · closed")
    assert saved.locator("tr").nth(1).inner_text().split() == ["merge", "1", "100%"]
    assert saved.locator("svg rect").count() == 6
    expect(page.get_by_text("Error displaying widget")).to_have_count(0)
    expect(page.get_by_text("Loading widget")).to_have_count(0)


def test_no_key_token_ticket_or_name_is_in_notebooks_html_or_logs(lab: Lab, new_page: Pages) -> None:
    name = "Zacharias-Quirrel"
    lab.write_notebook(
        "quiet.ipynb", [HOST.format(title="Quiet"), POLL, "room", "room.people", "room.chat", "repr(room)"]
    )
    host = lab.open(new_page(), "quiet.ipynb")
    host.run_all()
    link = host.text(0).split()[-1]
    asked = f"import os\nimport wslive\nme = wslive.join({link!r}, name=os.environ['NAME_OF_SOMEBODY'])\nme"
    lab.write_notebook("quiet-other.ipynb", ["", asked, "me.vote('merge'); me.say('why not heap?')", "me.chat"])
    participant = lab.open(new_page(), "quiet-other.ipynb")
    # The name comes from outside: in a notebook's input it would be the person's own doing.
    participant.run(f"import os; os.environ['NAME_OF_SOMEBODY'] = '-'.join({name.split('-')!r})")
    participant.page.evaluate(
        "() => { const cells = window.jupyterapp.shell.currentWidget.content.model.sharedModel;"
        " cells.deleteCell(cells.cells.length - 1); }"
    )
    participant.run_all()
    host.wait_for_chart(1, [0, 1, 0])
    host.run("poll.close(); room.end()")
    for notebook in (host, participant):
        notebook.save()
    pages = [lab.notebooks / "quiet.ipynb", lab.notebooks / "quiet-other.ipynb"]
    for page in pages:
        subprocess.run(
            [sys.executable, "-m", "nbconvert", "--to", "html", str(page)], env=lab.env, check=True, capture_output=True
        )

    kept = keys(lab)
    secrets = {entry["host_key"] for entry in kept["hosts"]} | {entry["token"] for entry in kept["tokens"]}
    secrets |= {server["hosting_token"] for server in servers(lab)}
    assert len(secrets) >= 3
    texts = {path.name: path.read_text() for page in pages for path in (page, page.with_suffix(".html"))}
    texts |= {path.name: path.read_text() for path in data_folder(lab).glob("*.log")}
    texts["jupyter"] = lab.log()
    assert "Which sort is stable?" in texts["quiet.html"], "the results are in the exported page"
    for where, text in texts.items():
        assert TICKET not in text, where
        assert name not in text, where
        assert "why not heap" not in text or where.startswith("quiet-other"), where
        assert [secret for secret in secrets if secret in text] == [], where


def test_the_files_with_keys_are_for_their_owner_alone(lab: Lab, new_page: Pages) -> None:
    lab.write_notebook("mode.ipynb", [HOST.format(title="Mode")])
    lab.open(new_page(), "mode.ipynb").run_all()
    folder = data_folder(lab)
    assert (folder / "keys.json").stat().st_mode & 0o077 == 0
    assert folder.stat().st_mode & 0o077 == 0


def test_a_notebook_from_somebody_else_runs_no_code_and_gets_no_ticket(lab: Lab, new_page: Pages) -> None:
    lab.write_notebook("honest.ipynb", [HOST.format(title="Honest"), POLL])
    host = lab.open(new_page(), "honest.ipynb")
    host.run_all()
    host.wait_for_chart(1, [0, 0, 0])
    link = host.text(0).split()[-1]
    server, code = link.rsplit("/r/", 1)

    # It knows the room's address and code, names the host, and adds a server of its own.
    elsewhere = "http://127.0.0.1:9"
    for number, urls in enumerate([[elsewhere], [elsewhere, server], [server, elsewhere]]):
        about = {
            "uid": "0",
            "urls": urls,
            "room": code,
            "actor": "host",
            "role": "host",
            "part": "poll",
            "activity": "3",
        }
        run = "window.wsliveRan = true"
        html = f"<p>from somebody else</p><img src='x' onerror='{run}'><script>{run}</script>"
        path = lab.write_notebook(f"foreign-{number}.ipynb", ["1"])
        notebook = json.loads(path.read_text())
        notebook["cells"][0]["outputs"] = [
            {
                "output_type": "display_data",
                "metadata": {},
                "data": {
                    "application/vnd.wslive.v1+json": {**about, "invite": {"links": [], "qr": ""}},
                    "text/html": html,
                },
            }
        ]
        path.write_text(json.dumps(notebook))
        asked: list[str] = []
        host.page.on("request", lambda request, asked=asked: asked.append(request.url))
        opened = len(new_page.watch(host.page).websockets)
        lab.open(host.page, path.name)  # in the very tab that holds the ticket
        expect(host.page.locator(".wslive-output")).to_contain_text("from somebody else")
        assert host.page.evaluate("() => window.wsliveRan ?? false") is False
        sockets = [socket.url for socket in new_page.watch(host.page).websockets[opened:]]
        assert [url for url in [*asked, *sockets] if ":9/" in url] == []
        assert [url for url in sockets if url.endswith("/ws")] == []
