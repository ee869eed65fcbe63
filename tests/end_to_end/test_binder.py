"""`binder/` proven without Docker: the recipe repo2docker makes of it, its steps, a session as Binder starts it."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.end_to_end.browser import HUB, Pages
from tests.end_to_end.lab import Lab, Notebook
from tests.test_architecture import repository_files

# A whole environment is installed from the registry.
pytestmark = pytest.mark.timeout(900)

ROOT = Path(__file__).parents[2]
BASE = "/user/owner-repository-x1y2z3/"

# As binderhub starts a session; but bound to loopback, since nobody outside of a test is to reach it.
LAUNCHED = (
    f"--ServerApp.base_url={BASE}",
    "--ServerApp.trust_xheaders=True",
    "--ServerApp.allow_origin=*",
    "--ServerApp.allow_origin_pat=.*",
    "--ServerApp.allow_remote_access=True",
)


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository's files, as Binder copies them."""
    folder = tmp_path_factory.mktemp("binder") / "repository"
    for path in repository_files():
        target = folder / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    return folder


@pytest.fixture(scope="module")
def built(clone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh virtual environment in which the steps of the recipe were run; its folder of programs."""
    environment = tmp_path_factory.mktemp("binder") / "venv"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    programs = environment / "bin"
    env = {
        **os.environ,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "VIRTUAL_ENV": str(environment),
        "PIP_NO_COMPILE": "1",  # Python compiles the few modules that are imported, when they are
    }
    install = [programs / "pip", "install", "--quiet", "--disable-pip-version-check", "-r", "binder/requirements.txt"]
    subprocess.run(install, cwd=clone, env=env, check=True)
    done = subprocess.run(["binder/postBuild"], cwd=clone, env=env, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return programs


class Session(Lab):
    """A JupyterLab started through binder/start."""

    def __init__(self, root: Path, clone: Path, programs: Path) -> None:
        env = {
            "PATH": f"{programs}:{os.environ['PATH']}",
            "JUPYTERHUB_SERVICE_PREFIX": BASE,
            "JUPYTERHUB_USER": "owner-repository-x1y2z3",
        }
        super().__init__(root, env=env, options=LAUNCHED)
        self.notebooks = clone
        self._programs = programs

    def command(self, command: list[str]) -> list[str]:
        start = str(self.notebooks / "binder" / "start")
        return [start, str(self._programs / "jupyter-lab"), *command[3:]]


@pytest.fixture(scope="module")
def session(clone: Path, built: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    with Session(tmp_path_factory.mktemp("binder") / "jovyan", clone, built) as running:
        yield running


def test_repo2docker_makes_the_recipe_that_is_meant(clone: Path) -> None:
    program = Path(sys.executable).parent / "jupyter-repo2docker"
    done = subprocess.run(
        [program, "--no-build", "--debug", str(clone)], check=False, capture_output=True, text=True, timeout=120
    )
    recipe = done.stdout + done.stderr
    assert done.returncode == 0, recipe
    assert re.search(r"COPY --chown=\S+ src/ \$\{REPO_DIR\}/", recipe), "the whole repository comes first"
    assert re.search(
        r'RUN \$\{KERNEL_PYTHON_PREFIX\}/bin/pip install --no-cache-dir -r "binder/requirements.txt"', recipe
    )
    assert "RUN ./binder/postBuild" in recipe
    assert 'ENV R2D_ENTRYPOINT="${REPO_DIR}/binder/start"' in recipe
    # One environment for server and kernels, with the Python that runtime.txt names: the extension is in both.
    assert "Building conda environment for python=3.12" in recipe
    assert "ENV KERNEL_PYTHON_PREFIX=${NB_PYTHON_PREFIX}" in recipe


def test_the_versions_are_current_and_the_extension_is_on(built: Path) -> None:
    ask = "from importlib.metadata import version as v; print(v('jupyterlab'), v('ipykernel'), v('notebook'))"
    found = subprocess.run(
        [built / "python", "-I", "-c", ask], check=True, capture_output=True, text=True
    ).stdout.split()
    lab, kernel, notebook = ([int(part) for part in version.split(".")[:2]] for version in found)
    assert lab >= [4, 6]
    assert kernel >= [7, 4]
    assert notebook >= [7, 6]


def test_phones_without_a_token_join_and_vote_while_the_host_notebook_runs(session: Session, new_page: Pages) -> None:
    page = new_page(hosts=[HUB])
    page.goto(session.url("lab/tree/notebooks/01_host.ipynb").replace("127.0.0.1", HUB))
    host = Notebook(page)
    host.wait_ready()
    host.run_all(timeout_s=200)
    room = page.get_by_role("region", name="Room", exact=True)
    expect(room.get_by_role("note")).to_contain_text("ends after 10 idle minutes or about 6 hours, and keeps nothing")
    expect(room.get_by_role("note")).to_contain_text("room.save(")

    phone = new_page(viewport=(360, 740), hosts=[HUB])
    link = room.locator("a.wslive-link").get_attribute("href")
    assert link is not None
    assert link.startswith(f"http://{HUB}:{session._port}{BASE}wslive/r/")
    phone.goto(link)
    expect(phone.get_by_role("heading")).to_have_text("This room is not open")
    room.get_by_role("button", name="Let phones in").click()
    expect(room.locator("img.wslive-qr")).to_be_visible()

    cell = host.append('now = room.poll("Can you read this?", ["yes", "no"])\nnow')
    host.run_cell(cell)
    host.wait_for_chart(cell, [0, 0])
    host.start_cell(host.append("import time; time.sleep(600)"))
    host.wait_kernel("busy")
    phone.goto(link)
    phone.get_by_label("Your name").fill("Grace")
    phone.get_by_role("button", name="Join").click()
    phone.get_by_role("button", name="yes").click()
    host.wait_for_chart(cell, [1, 0])
    assert not phone.context.cookies(), "nobody has logged in there"

    # Where the badge "Join" leads to: a form that asks for the link.
    joining = new_page(hosts=[HUB])
    workspace = "lab/workspaces/join/tree/notebooks/02_participant.ipynb"  # not the one with the host's notebook
    joining.goto(session.url(workspace).replace("127.0.0.1", HUB))
    participant = Notebook(joining)
    participant.wait_ready()
    participant.run_cell(1)
    form = participant.output(1)
    form.get_by_placeholder("http://192.168.1.7:8765/r/K7M2QX").fill(link)
    form.get_by_role("button", name="Join").click()
    form.get_by_role("button", name="no").click()
    host.wait_for_chart(cell, [1, 1])

    # Another session's kernel: another user on another computer, as far as this one knows.
    local = link.replace(HUB, "127.0.0.1")
    program = f"import wslive\nme = wslive.join({local!r}, name='Ada')\nme.vote('no')\nprint(me.answer())"
    elsewhere = {name: str(session.root / "elsewhere") for name in ("HOME", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")}
    env = {**os.environ, **elsewhere, "JUPYTER_PLATFORM_DIRS": "1"}
    done = subprocess.run(
        [session._programs / "python", "-c", program], env=env, check=False, capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "['no']\n", done.stderr
    host.wait_for_chart(cell, [1, 2])
