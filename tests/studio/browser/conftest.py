"""A real browser on a real server; skipped, with the reason, where there is no Chromium."""

from __future__ import annotations

import os
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from senzai.studio.api import create_studio

TOKEN = "a-token-for-the-browser"
CHROMIUM = os.environ.get("CHROMIUM") or next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
         "--disable-sync", "--no-first-run")
PATIENCE = 90_000
JOB = 900_000
"""Milliseconds that a test waits for the page, and for a process that has to start first: this is no benchmark."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents and CHROMIUM is None:
            item.add_marker(pytest.mark.skip(reason="no Chromium here; install Debian's package, or set CHROMIUM"))


@pytest.fixture(scope="package")
def address(runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the studio answers, on a copy of the runs."""
    folder = tmp_path_factory.mktemp("browser") / "runs"
    shutil.copytree(runs, folder)
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(create_studio(folder, token=TOKEN), log_level="error", ws="none")
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
    server.should_exit = True
    thread.join()


@pytest.fixture(scope="package")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as running:
        found = running.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield found
        found.close()


class Studio:
    """One tab, and what went wrong in it."""

    def __init__(self, browser: Any, address: str, **options: Any) -> None:
        self.address = address
        self.context = browser.new_context(viewport={"width": 1280, "height": 860}, locale="en-GB", **options)
        self.context.set_default_timeout(PATIENCE)
        self.wrong: list[str] = []
        self.asked: list[str] = []
        self.page = self.tab()
        self.page.goto(f"{address}?token={TOKEN}")

    def tab(self) -> Any:
        page = self.context.new_page()
        page.on("pageerror", lambda err: self.wrong.append(str(err)))
        page.on("console", lambda m: self.wrong.append(m.text) if m.type == "error" else None)
        page.on("request", lambda r: self.asked.append(r.url))
        return page

    def go(self, *parts: str) -> Any:
        """Go to a view and wait for its heading."""
        self.page.goto(f"{self.address}#/{'/'.join(parts)}")
        return self.page

    def map(self, run: str) -> Any:
        """Go to the map of a run and wait for its points."""
        self.page.evaluate("document.getElementById('cloud')?.removeAttribute('data-ready')")  # of the map before
        self.go("run", run, "map")
        self.page.wait_for_selector("#cloud[data-ready]")
        self.until("!!window.senzaiMap")
        return self.page

    def ask(self, code: str) -> Any:
        return self.page.evaluate(code)

    def until(self, code: str) -> Any:
        """Wait for a condition of the page; its policy forbids that the page itself is asked to wait for code."""
        end = time.monotonic() + PATIENCE / 1000
        while not (found := self.page.evaluate(code)):
            assert time.monotonic() < end, f"it never came: {code}"
            self.page.wait_for_timeout(50)
        return found


@pytest.fixture
def studio(browser: Any, address: str) -> Iterator[Studio]:
    """A fresh tab with nothing remembered; a test fails where a script fails or the policy is broken."""
    found = Studio(browser, address)
    yield found
    found.context.close()
    assert found.wrong == []
    assert all(url.startswith((address, "data:", "blob:")) for url in found.asked)
