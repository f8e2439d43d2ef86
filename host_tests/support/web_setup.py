"""For the tests of the operator's page: a server as a process, and one headless Chromium."""

import json
import os
import subprocess
import sys
import threading
from contextlib import contextmanager

from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

COMMAND = [sys.executable, "-c", "from msgin5g_tools.cli import main; main()"]
WAIT_S = 20


@contextmanager
def page_server(db, *arguments, web="127.0.0.1:0"):
    """(URL of the page without the slash, (host, port) of CoAP) of a server on free ports."""
    process = subprocess.Popen(
        [*COMMAND, "scm-server", "--bind", "127.0.0.1:0", "--db", db, "--web", web, "--json"]
        + [str(each) for each in arguments],
        stdout=subprocess.PIPE,
        text=True,
    )
    guard = threading.Timer(120, process.kill)  # then a line that never comes is an empty one
    guard.start()
    try:
        events = [json.loads(process.stdout.readline()) for _ in range(2)]
        started, found = sorted(events, key=lambda event: event["event"])
        host, _, port = started["bind"].rpartition(":")
        reader = threading.Thread(target=process.stdout.read)
        reader.start()
        yield found["url"].rstrip("/"), (host, int(port))
    finally:
        guard.cancel()
        process.terminate()
        process.wait(20)
        reader.join()
        process.stdout.close()
    assert process.returncode == 0


@contextmanager
def chromium(folder):
    """A Browser; folder: for its profile."""
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--no-first-run",
        f"--user-data-dir={folder}",
    ):
        options.add_argument(argument)
    service = Service("/usr/bin/chromedriver", env={**os.environ, "HOME": str(folder)})
    driver = webdriver.Chrome(options=options, service=service)
    try:
        yield Browser(driver)
    finally:
        driver.quit()


class Browser:
    """What a person does: go somewhere, press, type, read."""

    def __init__(self, driver):
        self.driver = driver

    def go(self, url):
        self.driver.get(url)

    def _wait(self, condition, text):
        """A page may go away while it is asked: then ask the next one."""
        wait = WebDriverWait(self.driver, WAIT_S, 0.1, ignored_exceptions=[WebDriverException])
        return wait.until(condition, f"{text!r} did not appear")

    def find(self, selector):
        """The first element of a CSS selector, as soon as there is one."""
        return self._wait(lambda driver: driver.find_element(By.CSS_SELECTOR, selector), selector)

    def press(self, text):
        """A link or a button by its text."""
        path = f"//*[self::a or self::button or self::summary][normalize-space()='{text}']"

        def pressed(driver):
            driver.find_element(By.XPATH, path).click()
            return True

        self._wait(pressed, text)

    def type(self, selector, text):
        """Replace what a field has."""
        field = self.find(selector)
        field.clear()
        field.send_keys(text)

    def text(self, selector="main"):
        return self.find(selector).text

    def wait_for(self, text, selector="main"):
        """Wait until an element has this text; its whole text."""
        script = (
            "return [...document.querySelectorAll(arguments[0])].map((each) => each.innerText)"
        )

        def found(driver):
            texts = driver.execute_script(script, selector)
            return next((each for each in texts if text in each), None)

        return self._wait(found, text)

    def reload_until(self, text, selector="main"):
        """Load the page again until an element has this text: the server writes once a second."""

        def found(driver):
            driver.refresh()
            return text in driver.find_element(By.CSS_SELECTOR, selector).text

        return self._wait(found, text)

    def run(self, script):
        return self.driver.execute_script(f"return {script}")

    def size(self, width, height):
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def theme(self, name):
        """light or dark."""
        features = [{"name": "prefers-color-scheme", "value": name}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
