"""The page of an export runs in a browser, from disk and from a static host, and says what the run says."""

from __future__ import annotations

import functools
import http.server
import json
import threading
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from senzai.core.errors import MissingExtraError
from senzai.exporting import web
from senzai.exporting.folder import export

CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
HERE = all((web.VENDOR / name).is_file() for name in web.RUNTIME)
browsing = pytest.mark.skipif(
    not HERE or not Path(CHROMIUM).exists(), reason="needs scripts/vendor-web and a browser",
)


@pytest.fixture(scope="module")
def browser():
    sync = pytest.importorskip("playwright.sync_api")
    with sync.sync_playwright() as p:
        found = p.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield found
        found.close()


@contextmanager
def served(folder):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *said):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/index.html"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def opened(browser, address):
    page = browser.new_page()
    said, asked = [], []
    page.on("pageerror", lambda e: said.append(str(e)))
    page.on("request", lambda r: asked.append(r.url))
    page.goto(address)
    page.wait_for_function("window.READY || document.querySelector('#status').classList.contains('error')",
                           timeout=120_000)
    assert page.evaluate("window.READY") is True, page.inner_text("#status")
    yield page
    assert said == []
    local = ("file:", "blob:", "data:", address.rsplit("/", 1)[0])
    assert [u for u in asked if not u.startswith(local)] == []
    page.close()


@pytest.fixture(scope="module")
def table_page(table_run, tmp_path_factory):
    return export(table_run, tmp_path_factory.mktemp("web") / "out", to="web", timed=False)


@browsing
@pytest.mark.slow
@pytest.mark.parametrize("from_disk", [True, False])
def test_a_page_encodes_a_file_as_the_run_does(browser, table_page, table_run, frame, tmp_path, from_disk):
    rows = frame.head(7)
    rows.to_csv(tmp_path / "rows.csv", index=False)
    address = (table_page / "index.html").as_uri()
    with served(table_page) as host, opened(browser, address if from_disk else host) as page:
        page.set_input_files("#file", str(tmp_path / "rows.csv"))
        page.wait_for_function("window.CODES && window.CODES.length === 7", timeout=60_000)
        got = np.array(page.evaluate("window.CODES"))
        np.testing.assert_allclose(got, table_run.encode(rows).to_numpy(), atol=1e-5)
        shown = page.inner_text("#out")
        assert "city" in shown
        page.click("#sample")
        page.wait_for_function(f"document.querySelector('#out').innerText !== {json.dumps(shown)}")


@browsing
@pytest.mark.slow
def test_a_picture_is_decoded_and_a_dropped_one_encoded(browser, picture_run, images, tmp_path):
    from PIL import Image

    folder = export(picture_run, tmp_path / "out", to="web", timed=False)
    Image.fromarray(images[3]).save(tmp_path / "one.png")
    with opened(browser, (folder / "index.html").as_uri()) as page:
        page.set_input_files("#file", str(tmp_path / "one.png"))
        page.wait_for_function("window.CODES", timeout=60_000)
        np.testing.assert_allclose(page.evaluate("window.CODES"), picture_run.encode(images[3:4]), atol=1e-4)
        got = np.array(page.evaluate(
            "() => { const c = document.querySelector('#out canvas');"
            " return Array.from(c.getContext('2d').getImageData(0, 0, c.width, c.height).data); }"
        )).reshape(16, 16, 4)[..., :3]
        told = picture_run.reconstruct(images[3:4])[0]
        assert np.abs(got.astype(int) - told.astype(int)).max() <= 1


def test_a_page_needs_its_runtime_and_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setattr(web, "VENDOR", tmp_path)
    with pytest.raises(MissingExtraError, match="scripts/vendor-web"):
        web.need_runtime()


def test_nothing_in_the_data_ends_the_script():
    text = web._script({"name": "</script><script>alert(1)</script> &\u2028"})
    assert "<" not in text
    assert "\u2028" not in text
    assert json.loads(text)["name"] == "</script><script>alert(1)</script> &\u2028"
