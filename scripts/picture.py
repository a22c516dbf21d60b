"""The pictures of the report in the README: `python -m scripts.picture HOME` writes docs/report.png, the top of the page.

HOME is a home with a published warehouse, such as that of `make demo`. With `FILE SECTION CHOICE` it is a section of the
page with CHOICE in its first selection: docs/gpu-sample.png is `interactivity in512-out128` of `ratecard demo --sample
h200`. Needs a Chromium on the path.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from reports.page import write_report
from warehouse.home import resolve

PICTURE = Path(__file__).parents[1] / "docs" / "report.png"
WIDTH, HEIGHT = 1280, 1720


def main() -> None:
    """Write the report of HOME to a scratch file and photograph its top."""
    if len(sys.argv) not in (2, 5):
        sys.exit(f"usage: {Path(sys.argv[0]).name} HOME [FILE SECTION CHOICE]")
    picture = Path(sys.argv[2]) if len(sys.argv) == 5 else PICTURE
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        report = write_report(resolve(sys.argv[1]), Path(folder) / "report.html")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        page.goto(report.as_uri())
        for chart in page.locator(".chart:visible").all():
            chart.locator("svg").wait_for()
        if len(sys.argv) == 5:
            part = page.locator(f"#{sys.argv[3]}")
            part.locator("select").first.select_option(sys.argv[4])
            part.screenshot(path=picture)
        else:
            page.screenshot(path=picture)
        browser.close()
    print(f"wrote {picture}")


if __name__ == "__main__":
    main()
