"""A real Chromium for the tests: where it is, how it is started, and what its pages are watched for.

`python -m tests.end_to_end.browser` prints the browser that the tests will use, or says how to get one.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Locator,
    Page,
    Playwright,
    WebSocket,
    expect,
    sync_playwright,
)
from playwright.sync_api import Error as PlaywrightError

NAMES = ("chromium", "google-chrome-stable", "google-chrome", "chromium-browser")

HUB = "hub.test"
"""What a Jupyter behind a hub or proxy is called by browsers; it knows nothing of that name."""

FLAGS = [
    "--disable-gpu",
    "--disable-dev-shm-usage",  # a container's /dev/shm is too small for it
    "--no-first-run",
    # Chromium itself must not look for the outside world either.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    # A public name that leads to this machine, as a hub's or proxy's does.
    f"--host-resolver-rules=MAP {HUB} 127.0.0.1",
]
if hasattr(os, "geteuid") and os.geteuid() == 0:
    FLAGS.append("--no-sandbox")  # Chromium refuses to start its sandbox as root

TIMEOUT_S = 60.0
"""How long pages are waited for: a guard against waiting for ever, no assertion about speed."""

STARTER = Path(__file__).with_name("chromium.sh")
"""Starts $CHROMIUM_PROGRAM with one list of features more."""

LOCAL_SCHEMES = {"about", "blob", "data", "chrome"}
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})

HOW_TO_INSTALL = """\
The end-to-end tests drive a real Chromium and found none that starts. Install one:
    Debian:   sudo apt-get install chromium libatomic1
    others:   .venv/bin/python -m playwright install --with-deps chromium
              (on Ubuntu the package "chromium" only points to a snap)
or name one that you have: CHROMIUM=/path/to/chrome make test"""


class NoChromium(RuntimeError):
    """There is no browser to test with; the message says how to install one."""

    def __init__(self, why: str = "") -> None:
        super().__init__("\n".join(filter(None, (why, HOW_TO_INSTALL))))


def starts(program: str) -> bool:
    """Whether a program says its version; Ubuntu's stand-in for the snap does not."""
    try:
        done = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0 and any(name in done.stdout for name in ("Chrom", "HeadlessShell"))


def find_chromium(playwright: Playwright) -> str:
    """The browser to use: $CHROMIUM, one on the PATH, or the one that Playwright has downloaded.

    Raises:
        NoChromium: None of them is there, or $CHROMIUM does not start.
    """
    if wanted := os.environ.get("CHROMIUM"):
        if not starts(wanted):
            raise NoChromium(f"CHROMIUM={wanted} does not start.")
        return wanted
    candidates = [path for name in NAMES if (path := shutil.which(name))]
    if Path(playwright.chromium.executable_path).exists():
        candidates.append(playwright.chromium.executable_path)
    for candidate in candidates:
        if starts(candidate):
            return candidate
    raise NoChromium


@contextmanager
def running_chromium() -> Iterator[Browser]:
    """Start the browser, headless, and close it at the end.

    Raises:
        NoChromium: There is none, or it does not start.
    """
    with ExitStack() as stack:
        try:
            playwright = stack.enter_context(sync_playwright())
        except Exception as error:  # Playwright raises no class of its own here
            raise NoChromium(f"Playwright's driver does not start: {error}") from error
        program = find_chromium(playwright)
        env = {**os.environ, "CHROMIUM_PROGRAM": program}
        try:
            browser = playwright.chromium.launch(
                executable_path=STARTER if os.name == "posix" else program, args=FLAGS, env=env
            )
        except PlaywrightError as error:
            raise NoChromium(f"{program} does not start:\n{error.message}") from error
        yield browser
        browser.close()


@dataclass
class Watch:
    """What the pages of one browser context did that a test should know of."""

    hosts: Collection[str] = LOOPBACK
    off_host: list[str] = field(default_factory=list)
    """URLs of requests and WebSockets that left for another host than those."""
    errors: list[str] = field(default_factory=list)
    """Exceptions that no script caught, each with its stack: it says whose they are."""
    console: list[str] = field(default_factory=list)
    """Console lines of level error and warning; a connection that failed is among them."""
    websockets: list[WebSocket] = field(default_factory=list)
    """Every WebSocket opened, in order; `framesent` and `framereceived` can be listened to."""

    def attach(self, context: BrowserContext) -> None:
        context.on("request", lambda request: self._see_url(request.url))
        context.on("weberror", lambda error: self.errors.append(error.error.stack or str(error.error)))
        context.on("console", self._see_console)
        context.on("page", lambda page: page.on("websocket", self._see_websocket))

    def _see_url(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in LOCAL_SCHEMES and parts.hostname not in self.hosts:
            self.off_host.append(url)

    def _see_websocket(self, websocket: WebSocket) -> None:
        self._see_url(websocket.url)
        self.websockets.append(websocket)

    def _see_console(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.console.append(f"{message.type}: {message.text}")


@dataclass
class Pages:
    """Opens pages for one test, each in a browser context of its own: each is another person's browser."""

    browser: Browser
    opened: list[tuple[Page, Watch]] = field(default_factory=list, repr=False)

    def __call__(
        self,
        *,
        viewport: tuple[int, int] = (1300, 900),
        color_scheme: Literal["light", "dark"] = "light",
        hosts: Collection[str] = (),
        **context_options: Any,
    ) -> Page:
        """Open an empty page.

        Args:
            viewport: Width and height in CSS pixels.
            color_scheme: What the person prefers.
            hosts: Hosts beside the loopback ones that its requests may go to.
            **context_options: Anything else that Playwright's `Browser.new_context` takes.
        """
        context = self.browser.new_context(
            viewport={"width": viewport[0], "height": viewport[1]},
            color_scheme=color_scheme,
            **context_options,
        )
        context.set_default_timeout(TIMEOUT_S * 1000)
        watch = Watch(hosts=LOOPBACK | set(hosts))
        watch.attach(context)
        page = context.new_page()
        self.opened.append((page, watch))
        return page

    def watch(self, page: Page) -> Watch:
        """What a page opened here has done."""
        return next(watch for opened, watch in self.opened if opened.context == page.context)

    def screenshots(self, folder: Path) -> list[Path]:
        """Photograph every page that is still open."""
        taken = []
        for number, (page, _) in enumerate(self.opened):
            if not page.is_closed():
                taken.append(folder / f"page-{number}.png")
                page.screenshot(path=taken[-1])
        return taken

    def close(self) -> None:
        for page, _ in self.opened:
            page.context.close()


CHART_VALUES = """([within, nth, trace, axis]) => {
    const chart = document.querySelectorAll(`${within} .js-plotly-plot`)[nth];
    const values = chart?._fullData?.[trace]?.[axis];
    return values ? Array.from(values) : null;
}"""

# Page.wait_for_function evaluates a string inside the page, which the policy of our own pages forbids.
CHART_SHOWS = f"""async (args) => {{
    const until = performance.now() + args[5];
    while (performance.now() < until) {{
        if (JSON.stringify(({CHART_VALUES})(args)) === args[4]) return true;
        await new Promise((resolve) => setTimeout(resolve, 50));
    }}
    return false;
}}"""


def chart_values(page: Page, *, within: str = "body", nth: int = 0, trace: int = 0, axis: str = "y") -> Any:
    """What Plotly has really drawn: the values of a trace, or None while there is no such chart.

    Args:
        page: The page with the chart.
        within: CSS selector of what the chart is in.
        nth: Which of the charts in it.
        trace: Which trace of the chart.
        axis: "y", or "x" for horizontal bars.
    """
    return page.evaluate(CHART_VALUES, [within, nth, trace, axis])


def wait_for_chart(
    page: Page,
    values: list[Any],
    *,
    within: str = "body",
    nth: int = 0,
    trace: int = 0,
    axis: str = "y",
    timeout_s: float = TIMEOUT_S,
) -> None:
    """Wait until Plotly has drawn these values; the other arguments are those of `chart_values`."""
    # JSON.stringify, not json.dumps: 3.0 and 3 are the same number in the browser.
    wanted = page.evaluate("(values) => JSON.stringify(values)", values)
    if not page.evaluate(CHART_SHOWS, [within, nth, trace, axis, wanted, timeout_s * 1000]):
        drawn = chart_values(page, within=within, nth=nth, trace=trace, axis=axis)
        raise AssertionError(f"the chart shows {drawn}, not {values}, after {timeout_s} s")


def wait_until(page: Page, condition: Callable[[], object], timeout_s: float = TIMEOUT_S) -> None:
    """Let a page go on until something is so that no expectation of Playwright's can ask for."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"it is not so after {timeout_s} s"
        page.wait_for_timeout(50)


def wait_for_taps(view: Locator) -> None:
    """Wait until a view shows its question as open, and takes taps: for a moment after a change it ignores them."""
    expect(view.locator(".wslive-eyebrow")).to_have_text("Open")
    view.page.evaluate("() => new Promise((resolve) => setTimeout(resolve, 500))")


def accessibility_violations(page: Page) -> list[str]:
    """What axe-core finds wrong with a page as it stands now, one line for each rule broken."""
    found = Axe().run(page).response["violations"]
    return [
        f"{rule['id']} ({rule['impact']}): {rule['help']}: "
        + "; ".join(", ".join(map(str, node["target"])) for node in rule["nodes"])
        for rule in found
    ]


def main() -> int:
    """Start the browser once and say which it is."""
    try:
        with running_chromium() as browser:
            print(f"The end-to-end tests use Chromium {browser.version}.")  # noqa: T201
    except NoChromium as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
