"""Sliders, ways, new rows, holes, strange rows, diagnosis and comparison in a browser."""

from __future__ import annotations

from playwright.sync_api import expect

from .conftest import JOB, PATIENCE, Studio

expect.set_options(timeout=PATIENCE)


def set_range(studio: Studio, selector: str, share: float) -> None:
    """Move a slider as a hand does: input while it moves, change when it is let go."""
    studio.page.eval_on_selector(selector, """(s, share) => {
        s.value = Number(s.min) + share * (s.max - s.min); s.dispatchEvent(new Event("input", {bubbles: true}));
        s.dispatchEvent(new Event("change", {bubbles: true})); }""", share)


def test_a_slider_changes_what_is_decoded(studio):
    page = studio.go("run", "digits", "sliders")
    expect(page.locator("#changed img")).to_be_visible()
    before = page.locator("#changed img").get_attribute("src")
    assert before == page.locator("#own img").get_attribute("src")
    set_range(studio, ".slider input >> nth=0", 1.0)
    studio.until(f"document.querySelector('#changed img').src !== {before!r}")
    assert page.locator("#own img").get_attribute("src") == before
    page.locator("#reset").click()
    studio.until(f"document.querySelector('#changed img').src === {before!r}")


def test_named_attributes_have_sliders(studio):
    page = studio.go("run", "people", "sliders")
    named = page.locator(".slider-lists > div").nth(1)
    expect(named).to_contain_text("explains")
    title = named.locator(".slider span").first.inner_text()
    assert title.split(":")[0] in ("age", "income", "city", "member")
    set_range(studio, ".slider-lists > div:nth-child(2) .slider input >> nth=0", 1.0)
    expect(page.locator("#changed tr.differs").first).to_be_visible()
    page.reload()  # nothing is lost when the tab closes
    expect(page.locator("#changed tr.differs").first).to_be_visible()


def test_sliders_start_from_any_row(studio):
    page = studio.go("run", "digits", "sliders")
    expect(page.locator("#own img")).to_be_visible()
    before = page.locator("#own img").get_attribute("src")
    page.locator("#start-row").fill("6")
    page.locator("#start-row").blur()
    studio.until(f"document.querySelector('#own img').src !== {before!r}")


def test_the_way_between_two_rows(studio):
    page = studio.go("run", "digits", "between")
    expect(page.locator("#way img")).to_have_count(9)
    page.locator("#steps").fill("5")
    page.locator("#steps").blur()
    expect(page.locator("#way img")).to_have_count(5)
    page.locator("#row-b").fill("30")
    page.locator("#row-b").blur()
    expect(page.locator(".pair figcaption").nth(1)).to_contain_text("Row 30")
    studio.go("run", "people", "between")
    expect(page.locator("#way thead th").last).to_have_text("B")
    expect(page.locator("#way tbody th")).to_have_count(5)


def test_new_rows_are_drawn(studio):
    page = studio.go("run", "digits", "sample")
    expect(page.locator("#made img")).to_have_count(24)
    first = page.locator("#made img").first.get_attribute("src")
    page.locator("#again").click()
    studio.until(f"document.querySelector('#made img').src !== {first!r}")
    page.locator("#seed").fill("1")
    page.locator("#seed").blur()
    studio.until(f"document.querySelector('#made img').src === {first!r}")  # the same seed, the same rows


def test_new_rows_under_a_condition(studio):
    page = studio.go("run", "given", "sample")
    expect(page.locator("#made img")).to_have_count(24)
    every = "[...document.querySelectorAll('#made img')].map((i) => i.src).join()"
    free = studio.ask(every)
    page.locator('[data-given="digit"]').select_option(label="7")
    studio.until(f"{every} !== {free!r}")
    studio.go("run", "people", "sample")
    page.locator("#give").select_option("city")
    page.locator('[data-given="city"]').fill("Lima")
    page.locator('[data-given="city"]').blur()
    expect(page.locator("#made tbody tr").first).to_contain_text("Lima")
    assert all("Lima" in row for row in page.locator("#made tbody tr").all_inner_texts())


def test_a_condition_that_cannot_be_is_answered_in_words(studio):
    page = studio.go("run", "people", "sample")
    page.locator("#give").select_option("city")
    page.locator('[data-given="city"]').fill("Atlantis")
    page.locator('[data-given="city"]').blur()
    expect(page.get_by_role("alert")).to_contain_text("Atlantis")
    studio.wrong.clear()


def test_an_earlier_answer_is_not_drawn_over_a_later_one(studio):
    page = studio.go("run", "people", "sample")
    expect(page.locator("#made tbody tr").first).to_be_visible()
    held = []
    page.route("**/sample", lambda route: held.append(route) if not held else route.continue_())
    page.locator("#again").click()  # its answer is long in coming
    page.locator("#give").select_option("city")
    page.locator('[data-given="city"]').fill("Atlantis")
    page.locator('[data-given="city"]').blur()
    page.wait_for_timeout(500)
    held[0].continue_()
    expect(page.get_by_role("alert")).to_contain_text("Atlantis")
    page.wait_for_timeout(500)
    expect(page.get_by_role("alert")).to_contain_text("Atlantis")
    studio.wrong.clear()


def test_new_rows_are_exported(studio):
    page = studio.go("run", "people", "sample")
    expect(page.locator("#made tbody tr").first).to_be_visible()
    page.locator("#many").fill("30")
    with page.expect_download() as fetched:
        page.locator("#export").click()
    assert len(fetched.value.path().read_text().splitlines()) == 31


def test_missing_cells_are_filled_in_a_table_that_one_edits(studio):
    page = studio.go("run", "people", "fill")
    expect(page.locator("input.hole").first).to_be_visible()
    holes = page.locator("input.hole").count()
    page.locator('[data-cell="0,2"]').fill("")
    page.locator('[data-cell="0,2"]').blur()
    expect(page.locator("input.hole")).to_have_count(holes + 1)
    page.locator("#fill-in").click()
    expect(page.locator("input.filled")).to_have_count(holes + 1)
    assert page.locator('[data-cell="0,2"]').get_attribute("placeholder") in ("Ulm", "Kyoto", "Lima")
    income = page.locator('[data-cell="0,1"]').input_value()
    page.reload()
    expect(page.locator("input.filled")).to_have_count(holes + 1)  # nothing is lost when the tab closes
    assert page.locator('[data-cell="0,1"]').input_value() == income
    page.locator("#take").click()
    expect(page.locator("input.filled")).to_have_count(0)
    with page.expect_download() as fetched:
        page.locator("#save").click()
    assert len(fetched.value.path().read_text().splitlines()) == 13


def test_a_value_that_cannot_be_is_answered_in_words(studio):
    page = studio.go("run", "people", "fill")
    page.locator('[data-cell="0,2"]').fill("Atlantis")
    page.locator('[data-cell="0,2"]').blur()
    page.locator("#fill-in").click()
    expect(page.get_by_role("alert")).to_contain_text("Atlantis")
    studio.wrong.clear()


def test_keys_move_in_the_table(studio):
    page = studio.go("run", "people", "fill")
    page.locator('[data-cell="1,1"]').focus()
    page.keyboard.press("ArrowDown")
    assert studio.ask("document.activeElement.dataset.cell") == "2,1"
    page.keyboard.press("Tab")
    assert studio.ask("document.activeElement.dataset.cell") == "2,2"


def test_strange_rows_with_reasons_and_a_threshold(studio):
    page = studio.go("run", "people", "anomalies")
    expect(page.locator("#strange > li").first).to_contain_text("Row 7")
    expect(page.locator("#strange > li").first.locator(".reasons")).to_contain_text("income")
    few = int(page.locator(".flagged b").inner_text())
    set_range(studio, "#threshold", 1.0)
    studio.until(f"Number(document.querySelector('.flagged b').textContent) > {few}")
    expect(page.locator("#strange > li")).to_have_count(12)
    set_range(studio, "#threshold", 0.0)
    studio.until(f"Number(document.querySelector('.flagged b').textContent) <= {few}")
    with page.expect_download() as fetched:
        page.locator("#export").click()
    assert "400000" in fetched.value.path().read_text()


def test_strange_pictures_stand_beside_what_the_model_expects(studio):
    page = studio.go("run", "digits", "anomalies")
    expect(page.locator("#strange > li").first.locator("img")).to_have_count(2)


def test_a_diagnosis_names_the_cause_and_its_cure_is_a_button(studio):
    page = studio.go("run", "ill", "diagnosis")
    expect(page.locator(".findings > li").first).to_contain_text("What to do:")
    page.locator("#cure").click()
    expect(page.locator("#treated progress")).to_be_visible()
    page.reload()  # the work goes on, and is found again
    expect(page.locator("#treated .cured")).to_be_visible(timeout=JOB)
    expect(page.locator("#treated")).to_contain_text("Finding")
    page.get_by_role("link", name="Side by side").click()
    expect(page.locator("#differences")).to_contain_text("beta")


def test_a_run_is_examined_and_the_work_can_be_stopped(studio):
    page = studio.go("run", "people two", "diagnosis")
    page.locator("#diagnose").click()
    page.locator("#findings #cancel").click()
    ended = page.locator("#findings [role=alert], #findings .findings, #findings .well")
    expect(ended.first).to_be_visible(timeout=JOB)
    studio.page.wait_for_timeout(500)  # how it ended stays to be read; the view used to draw itself anew over it
    expect(ended.first).to_be_visible()


def test_two_runs_side_by_side(studio):
    page = studio.go("run", "people", "compare")
    page.locator("#other").select_option("people two")
    expect(page.locator("#differences tr.differs").first).to_be_visible()
    expect(page.locator("#differences")).to_contain_text("n_latent")
    expect(page.locator("#curves svg .line").nth(1)).to_be_visible()
    expect(page.locator(".side-by-side table")).to_have_count(2)
    page.locator("#judge").click()
    expect(page.locator("#verdict h3")).to_be_visible(timeout=JOB)


def test_what_does_not_fit_a_run_says_why(studio):
    page = studio.go("run", "digits", "training")
    tab = page.locator('[data-view="fill"]')
    expect(tab).to_have_attribute("aria-disabled", "true")
    assert "not shown as a table" in tab.get_attribute("title")
    tab.click(force=True)  # it is said to be disabled, and answers why
    expect(page.locator("#said")).to_contain_text("not shown as a table")


def test_keys_go_from_view_to_view_and_are_explained(studio):
    page = studio.go("run", "digits", "training")
    expect(page.locator("nav [aria-current]")).to_have_text("Training")
    page.keyboard.press("Alt+5")
    expect(page.locator("nav [aria-current]")).to_have_text("New rows")
    page.keyboard.press("?")
    expect(page.locator("dialog")).to_contain_text("Alt+1")
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).to_have_count(0)


def test_every_control_has_a_name_and_the_page_its_landmarks(studio):
    for view in ("training", "sliders", "between", "sample", "fill", "anomalies", "diagnosis", "compare"):
        page = studio.go("run", "people", view)
        expect(page.locator(f".view.{view} section").first).to_be_visible()
        page.wait_for_timeout(300)
        nameless = studio.ask("""() => [...document.querySelectorAll("button, select, input, a[href], canvas")]
            .filter((e) => !e.ariaHidden)
            .filter((e) => !(e.ariaLabel || e.labels?.length || e.textContent.trim() || e.title || e.closest("label")))
            .map((e) => e.outerHTML.slice(0, 120))""")
        assert nameless == [], view
        pictures = studio.ask("[...document.images].filter((i) => !i.alt).length")
        assert pictures == 0
        assert studio.ask("document.querySelectorAll('h1').length") == 1
    assert studio.ask("[...document.querySelectorAll('main, header, nav')].length") >= 3


def test_the_skip_link_leads_to_the_content(studio):
    expect(studio.page.locator("h1")).to_be_visible()
    studio.page.keyboard.press("Tab")
    assert "Skip" in studio.ask("document.activeElement.textContent")
    studio.page.keyboard.press("Enter")
    assert studio.ask("document.activeElement.id") == "main"


def test_a_narrow_window_needs_no_sideways_scrolling(studio):
    studio.page.set_viewport_size({"width": 800, "height": 900})
    for view in ("training", "map", "sliders", "sample", "anomalies", "diagnosis"):
        page = studio.go("run", "people", view)
        expect(page.locator(f".view.{view}")).not_to_be_empty()
        page.wait_for_timeout(250)
        assert studio.ask("document.documentElement.scrollWidth") <= 800, view
