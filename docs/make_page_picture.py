"""Writes docs/page.png: the page `/` with a Chinese review, its prediction and explanation, in headless Chromium.

    python docs/make_page_picture.py [runs/sentiment_zh/latest/bundle]

It needs what `make system` installs (chromium, chromium-driver and a font for Chinese).
"""

import contextlib
import io
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from PIL import Image
from selenium import webdriver
from selenium.webdriver.support.ui import WebDriverWait

HERE = Path(__file__).parent
BUNDLE = HERE.parent / "runs/sentiment_zh/latest/bundle"
REVIEW = "房间很干净，服务员也热情，就是早餐有点差，不过下次还会再来。"
WIDTH, COLOURS = 1180, 256


def main() -> None:
    """Serves the bundle, takes the picture, ends the server."""
    bundle = Path(sys.argv[1]) if len(sys.argv) > 1 else BUNDLE
    with served(bundle) as url, chromium() as driver:
        picture = pictured(driver, url)
    picture.convert("RGB").quantize(COLOURS).save(HERE / "page.png", optimize=True)
    print(HERE / "page.png", (HERE / "page.png").stat().st_size, "bytes")


@contextlib.contextmanager
def served(bundle: Path) -> Iterator[str]:
    """Gives the address of a server."""
    command = [sys.executable, "-m", "maas.serve", f"model={bundle}", "port=0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield re.search(r"http://\S+?:\d+", process.stdout.readline())[0]
        finally:
            process.terminate()


@contextlib.contextmanager
def chromium() -> Iterator[webdriver.Chrome]:
    """Gives a headless browser."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"):
        options.add_argument(argument)
    driver = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
    try:
        yield driver
    finally:
        driver.quit()


def pictured(driver: webdriver.Chrome, url: str) -> Image.Image:
    """Returns the page once the review is predicted and explained."""
    resize(driver, 800)
    driver.get(f"{url}/")
    until(driver, "return document.querySelector('textarea')?.value")
    driver.execute_script("document.querySelector('textarea').value = arguments[0]", REVIEW)
    driver.find_element("id", "predict").click()
    until(driver, "return !document.getElementById('why').hidden")
    driver.find_element("id", "explain").click()
    until(driver, "return document.querySelector('#explanation ul')")
    driver.execute_script("document.activeElement.blur()")
    resize(driver, driver.execute_script("return document.querySelector('main').getBoundingClientRect().bottom + 28"))
    return Image.open(io.BytesIO(driver.get_screenshot_as_png()))


def resize(driver: webdriver.Chrome, height: float) -> None:
    """Makes the page as high as what is shown."""
    screen = {"width": WIDTH, "height": round(height), "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)


def until(driver: webdriver.Chrome, script: str) -> None:
    """Waits for something to be true on the page."""
    WebDriverWait(driver, 30, poll_frequency=0.05).until(lambda driver: driver.execute_script(script))


if __name__ == "__main__":
    main()
