"""A headless browser, and homes to look at with it."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from reports.page import write_report
from tests.reports.houses import measured_home
from warehouse.home import Home

_CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
Scheme = Literal["light", "dark"]
_QUIET = (
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--no-first-run",
)  # fmt: skip


@dataclass
class Opened:
    """A report in the browser, and what it did while it opened."""

    page: Page
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)


@pytest.fixture(scope="session")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A measured home with its report, to be looked at and left as it is."""
    home = measured_home(tmp_path_factory.mktemp("measured"))
    write_report(home)
    return home


# of the package: Playwright's loop runs as long as it lives, and asyncio's tests of other rooms could not
@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    if _CHROMIUM is None:
        pytest.skip("no chromium, chromium-browser or google-chrome on the path: apt install chromium")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=_CHROMIUM, args=list(_QUIET))
        yield running
        running.close()


def opened(browser: Browser, report: Path, *, width: int = 1280, scheme: Scheme = "light") -> Opened:
    """Open `report` and wait until its charts are drawn."""
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    seen = Opened(page)
    page.on("request", lambda request: seen.requests.append(request.url))
    page.on("console", lambda message: seen.complaints.append(message.text))
    page.on("pageerror", lambda error: seen.complaints.append(str(error)))
    page.goto(report.as_uri())
    for chart in page.locator(".chart:visible").all():
        chart.locator("svg").wait_for()
    return seen
