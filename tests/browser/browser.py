"""A headless Chromium on pages from disk, and everything that it says or asks for."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Browser, Page, Route, sync_playwright

CHROMIUM = next((at for name in ("chromium", "google-chrome", "chromium-browser") if (at := shutil.which(name))), None)
AXE = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"
# In a container there is no sandbox to be had, and a browser on its own asks the network for much.
_FLAGS = (
    "--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
WIDTHS = (400, 1280)
NO_BROWSER = "no Chromium here: apt-get install chromium"
NO_AXE = "no axe-core here: npm ci --prefix tests/browser"


@dataclass
class Heard:
    """What a page said on its console, what went wrong in it, and what it asked for beside itself."""

    console: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)


@contextmanager
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(_FLAGS))
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def opened(
    browser: Browser, file: Path, *, width: int = 1280, dark: bool = False, medium: str = "screen"
) -> Iterator[tuple[Page, Heard]]:
    """The page, drawn; nothing but its own file is let through."""
    context = browser.new_context(viewport={"width": width, "height": 900})
    page, heard, address = context.new_page(), Heard(), file.resolve().as_uri()

    def through(route: Route) -> None:
        if route.request.url == address:
            route.continue_()
        else:
            heard.asked.append(route.request.url)
            route.abort()

    page.route("**/*", through)
    page.on("request", lambda request: request.url == address or heard.asked.append(request.url))
    page.on("console", lambda said: heard.console.append(f"{said.type}: {said.text}"))
    page.on("pageerror", lambda error: heard.errors.append(str(error)))
    page.on("dialog", lambda dialog: (heard.errors.append(f"dialog: {dialog.message}"), dialog.dismiss()))
    page.emulate_media(color_scheme="dark" if dark else "light", media=medium)  # type: ignore[arg-type]
    try:
        page.goto(address)
        page.wait_for_selector("html[data-drawn]", state="attached")
        yield page, heard
    finally:
        context.close()
