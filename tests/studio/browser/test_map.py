"""The latent map in a browser: points, pointer, lasso, colours and keys."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from .conftest import PATIENCE, Studio

expect.set_options(timeout=PATIENCE)
POINT = "i => { const c = senzaiMap.cloud; return c.window.toScreen(c.xy[2 * i], c.xy[2 * i + 1]); }"


def pixels(studio: Studio) -> int:
    """Pixels of the canvas that are no paper."""
    return studio.ask("""() => { const c = document.getElementById("cloud"), x = c.getContext("2d");
        const d = new Uint32Array(x.getImageData(0, 0, c.width, c.height).data.buffer), paper = d[0];
        let n = 0; for (const p of d) n += p !== paper; return n; }""")


def at(studio: Studio, i: int) -> tuple[float, float]:
    box = studio.page.locator("#cloud").bounding_box()
    x, y = studio.page.evaluate(POINT, i)
    return box["x"] + x, box["y"] + y


def test_all_rows_are_points(studio):
    studio.map("digits")
    assert studio.ask("senzaiMap.cloud.n") == 1797
    assert pixels(studio) > 5000
    expect(studio.page.locator("#key span")).to_have_count(10)


def test_it_needs_no_webgl(studio):
    studio.page.add_init_script("""const made = HTMLCanvasElement.prototype.getContext;
        HTMLCanvasElement.prototype.getContext = function (kind, ...more) {
          return kind.startsWith("webgl") ? null : made.call(this, kind, ...more); };""")
    studio.page.reload()
    studio.map("people")
    assert studio.ask("document.createElement('canvas').getContext('webgl')") is None
    assert pixels(studio) > 500


def test_the_row_under_the_pointer_is_shown_as_what_it_is(studio):
    page = studio.map("digits")
    page.mouse.move(*at(studio, 5))
    expect(page.locator("#row img")).to_be_visible()
    expect(page.locator("#row .caption")).to_contain_text("digit:")
    studio.map("people")
    page.mouse.move(*at(studio, 7))
    expect(page.locator("#row table.record")).to_contain_text("income")


def test_the_decoder_follows_the_cursor(studio):
    page = studio.map("digits")
    page.mouse.move(*at(studio, 5))
    expect(page.locator("#here img")).to_be_visible()
    first = page.locator("#here img").get_attribute("src")
    page.mouse.move(*at(studio, 4))
    studio.until(f"document.querySelector('#here img')?.src !== {first!r}")
    expect(page.locator("#here .caption")).to_contain_text(",")


def test_colour_by_anything(studio):
    page = studio.map("people")
    by = page.locator("#by")
    names = by.locator("option").all_inner_texts()
    assert {"age", "income", "city", "member", "z0", "anomaly score"} <= set(names)
    by.select_option(label="city")
    expect(page.locator("#key span")).to_have_count(3)
    cities = studio.ask("[...senzaiMap.cloud.shade]")
    by.select_option(label="income")
    expect(page.locator("#key .ramp")).to_be_visible()
    assert studio.ask("[...senzaiMap.cloud.shade]") != cities
    by.select_option(label="anomaly score")
    studio.until("senzaiMap.state.colouring.name === 'anomaly score'")
    page.reload()
    page.wait_for_selector("#cloud[data-ready]")
    expect(page.locator("#by")).to_have_value("score")


def test_the_plane_can_be_two_latent_dimensions(studio):
    page = studio.map("digits")
    before = studio.ask("[...senzaiMap.cloud.xy.slice(0, 8)]")
    value = page.locator("#axes option").nth(1).get_attribute("value")
    page.locator("#axes").select_option(value)
    studio.until(f"JSON.stringify([...senzaiMap.cloud.xy.slice(0, 8)]) !== {str(before).replace(' ', '')!r}")


def test_dragging_moves_the_map_and_the_wheel_zooms(studio):
    page = studio.map("digits")
    x, y = at(studio, 5)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 80, y + 40, steps=4)
    page.mouse.up()
    nx, ny = at(studio, 5)
    assert (abs(nx - x - 80) < 2, abs(ny - y - 40) < 2) == (True, True)
    scale = studio.ask("senzaiMap.cloud.window.scale")
    page.mouse.wheel(0, -400)
    studio.until(f"senzaiMap.cloud.window.scale > {scale * 1.2}")
    page.get_by_role("button", name="Show all points").click()
    studio.until(f"Math.abs(senzaiMap.cloud.window.scale - {scale}) < 1e-6 * {scale}")


def lasso(studio: Studio) -> int:
    """Draw around the upper half of the canvas; how many points lie there, by counting them one by one."""
    page, box = studio.page, studio.page.locator("#cloud").bounding_box()
    corners = [(2, 2), (box["width"] - 60, 2), (box["width"] - 60, box["height"] / 2), (2, box["height"] / 2)]
    page.mouse.move(box["x"] + 2, box["y"] + 2)
    page.mouse.down()
    for x, y in corners:
        page.mouse.move(box["x"] + x, box["y"] + y, steps=3)
    page.mouse.up()
    return studio.ask(f"""() => {{ const c = senzaiMap.cloud; let n = 0; for (let i = 0; i < c.n; i++) {{
        const [x, y] = c.window.toScreen(c.xy[2 * i], c.xy[2 * i + 1]);
        n += x > 2 && x < {box["width"] - 60} && y > 2 && y < {box["height"] / 2}; }} return n; }}""")


def test_the_lasso_selects_and_exports(studio):
    page = studio.map("people")
    page.get_by_role("button", name="Lasso: draw around rows").click()
    n = lasso(studio)
    assert 10 < n < 250
    expect(page.locator("#chosen h2")).to_have_text(f"{n} rows selected")
    with page.expect_download() as fetched:
        page.locator("#export").click()
    text = fetched.value.path().read_text()
    assert len(text.splitlines()) == n + 1
    assert text.startswith("age,income,city,")
    page.locator("#clear").click()
    expect(page.locator("#chosen h2")).to_have_count(0)


def test_shift_and_drag_is_a_lasso_as_well(studio):
    page = studio.map("digits")
    page.keyboard.down("Shift")
    n = lasso(studio)
    page.keyboard.up("Shift")
    assert studio.ask("senzaiMap.cloud.picked.reduce((a, b) => a + b, 0)") == n
    expect(page.locator("#chosen img").first).to_be_visible()
    page.keyboard.press("Escape")
    studio.until("senzaiMap.cloud.picked === null")


def test_the_map_is_used_by_keyboard(studio):
    page = studio.map("digits")
    page.locator("#cloud").focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    expect(page.locator("#here img")).to_be_visible()
    studio.until("senzaiMap.state.at >= 0")
    expect(page.locator("#said")).to_contain_text("Row ")
    scale = studio.ask("senzaiMap.cloud.window.scale")
    page.keyboard.press("+")
    assert studio.ask("senzaiMap.cloud.window.scale") > scale
    page.keyboard.press("a")
    expect(page.locator("#chosen h2")).to_contain_text("rows selected")
    page.keyboard.press("l")
    expect(page.get_by_role("button", name="Lasso: draw around rows")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("0")
    studio.until(f"Math.abs(senzaiMap.cloud.window.scale - {scale}) < 1e-6 * {scale}")


def test_the_nearest_point_is_the_nearest(studio):
    studio.map("digits")
    wrong = studio.ask("""() => { const c = senzaiMap.cloud; let wrong = 0, seed = 1;
      const next = () => (seed = (seed * 16807) % 2147483647) / 2147483647;
      for (let k = 0; k < 300; k++) { const x = next() * c.window.width, y = next() * c.window.height;
        let best = -1, least = 14;
        for (let i = 0; i < c.n; i++) { const [a, b] = c.window.toScreen(c.xy[2 * i], c.xy[2 * i + 1]);
          const far = Math.hypot(a - x, b - y); if (far < least) { least = far; best = i; } }
        wrong += c.nearest(x, y) !== best; } return wrong; }""")
    assert wrong == 0


@pytest.mark.parametrize("n", [30_000, 100_000])
def test_very_many_points_are_drawn_where_they_lie(studio, n):
    """Each point leaves its colour in its pixel: the last one drawn at a place is seen there."""
    studio.map("people")
    found = studio.ask(f"""() => {{ const c = senzaiMap.cloud, n = {n}, xy = new Float32Array(2 * n); let seed = 7;
      const next = () => (seed = (seed * 16807) % 2147483647) / 2147483647;
      for (let i = 0; i < 2 * n; i++) xy[i] = next() + next() + next() - 1.5;
      c.setPoints(xy); c.shade = new Uint8Array(n); c.picked = null; c.window.fit(c.box); c.palette[0] = 0x2040ff;
      c.draw(0xffffff); const w = c.canvas.width; let there = 0, inside = 0;
      for (let i = 0; i < n; i += 97) {{ const [x, y] = c.window.toScreen(xy[2 * i], xy[2 * i + 1]);
        const px = Math.floor(x * c.ratio + 0.5), py = Math.floor(y * c.ratio + 0.5);
        if (px < 2 || py < 2 || px > w - 3 || py > c.canvas.height - 3) continue;
        inside++; there += (c.pixels[py * w + px] & 0xffffff) !== 0xffffff; }} return there / inside; }}""")
    assert found > 0.99  # a place halfway between two pixels may be either


def test_a_map_can_be_stopped_while_it_is_made(studio):
    page = studio.page
    page.route("**/api/runs/given/map", lambda route: route.fulfill(
        status=202, json={"part": 0.3}) if route.request.method == "GET" else route.continue_())
    studio.go("run", "given", "map")
    expect(page.locator(".making progress")).to_be_visible()
    with page.expect_request(lambda r: r.method == "DELETE") as asked:
        page.locator("#cancel").click()
    assert asked.value.url.endswith("/api/runs/given/map")
    page.unroute("**/api/runs/given/map")
    page.wait_for_selector("#cloud[data-ready]")


def test_light_and_dark(browser, address):
    papers = []
    for scheme in ("light", "dark"):
        studio = Studio(browser, address, color_scheme=scheme)
        studio.map("digits")
        papers.append(studio.ask("[senzaiMap.cloud.pixels[0] & 255, getComputedStyle(document.body).color]"))
        studio.context.close()
    assert papers[0][0] > 240
    assert papers[1][0] < 40
    assert papers[0][1] != papers[1][1]
