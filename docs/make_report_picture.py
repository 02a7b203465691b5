"""Writes docs/report.png: the beginning of a report, in headless Chromium.

    python -m maas.report runs/sentiment_zh/latest out=report.html
    python docs/make_report_picture.py report.html

It needs what `make system` installs (chromium, chromium-driver and a font for Chinese).
"""

import io
import sys
from pathlib import Path

from make_page_picture import chromium
from PIL import Image

HERE = Path(__file__).parent
WIDTH, HEIGHT, COLOURS = 1180, 1500, 128


def main() -> None:
    """Opens the page, which is the first argument, and takes the picture."""
    page = Path(sys.argv[1]).resolve().as_uri()
    with chromium() as driver:
        screen = {"width": WIDTH, "height": HEIGHT, "deviceScaleFactor": 1, "mobile": False}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        driver.get(page)
        picture = Image.open(io.BytesIO(driver.get_screenshot_as_png()))
    picture.convert("RGB").quantize(COLOURS).save(HERE / "report.png", optimize=True)
    print(HERE / "report.png", (HERE / "report.png").stat().st_size, "bytes")


if __name__ == "__main__":
    main()
