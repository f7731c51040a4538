"""The start, data, and training, in a browser."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from ..conftest import NAUGHTY, people
from .conftest import JOB, PATIENCE, TOKEN, Studio

expect.set_options(timeout=PATIENCE)


def csv(n: int = 200) -> bytes:
    return people(n).to_csv(index=False).encode()


def drop(studio: Studio, name: str, content: bytes) -> None:
    studio.page.locator("#file").set_input_files({"name": name, "mimeType": "text/csv", "buffer": content})


def test_the_start_lists_the_runs(studio):
    expect(studio.page.locator("h1")).to_have_text("What do you have?")
    expect(studio.page.locator("#runs tbody tr")).to_have_count(5)
    expect(studio.page.get_by_role("link", name="people two")).to_be_visible()


def test_the_token_leaves_the_address(studio):
    expect(studio.page.locator("h1")).to_be_visible()
    assert TOKEN not in studio.page.url
    assert TOKEN not in studio.ask("document.cookie")


def test_a_tab_without_the_token_sees_nothing(browser, address):
    context = browser.new_context()
    page = context.new_page()
    answer = page.goto(address)
    assert answer.status == 401
    assert "senzai studio" in page.inner_text("body")
    context.close()


def test_a_file_is_dropped_and_recognised(studio):
    page = studio.page
    expect(page.locator("#drop")).to_be_visible()
    handle = page.evaluate_handle("""text => { const d = new DataTransfer();
        d.items.add(new File([text], "dropped table.csv", {type: "text/csv"})); return d; }""", csv().decode())
    page.dispatch_event("#drop", "dragover", {"dataTransfer": handle})
    expect(page.locator("#drop.over")).to_be_visible()
    page.dispatch_event("#drop", "drop", {"dataTransfer": handle})
    expect(page.locator("h1")).to_have_text("dropped table.csv")
    expect(page.locator("#lede")).to_contain_text("200 rows of 5 columns")
    expect(page.locator("#columns tbody tr")).to_have_count(5)


def test_what_the_data_say_is_text_and_never_markup(studio):
    drop(studio, "names.csv", csv())
    expect(studio.page.locator("#columns")).to_contain_text(NAUGHTY)
    expect(studio.page.locator("#rows")).to_contain_text(NAUGHTY)
    assert studio.ask("window.pwned") is None
    assert studio.ask("document.querySelectorAll('main script').length") == 0


def test_a_wrong_type_is_corrected_and_kept(studio):
    drop(studio, "types.csv", csv())
    age = studio.page.get_by_label("Type of the column age")
    expect(age).to_be_visible()
    recognised = age.input_value()
    assert recognised != "count"
    age.select_option("count")
    expect(studio.page.get_by_label("Type of the column age")).to_have_class("changed")
    studio.page.reload()
    expect(studio.page.get_by_label("Type of the column age")).to_have_value("count")
    studio.page.get_by_role("button", name="As it was recognised").click()
    expect(studio.page.get_by_label("Type of the column age")).to_have_value(recognised)


def test_data_that_cannot_be_read_are_answered_in_words(studio):
    drop(studio, "empty.csv", b"")
    alert = studio.page.get_by_role("alert")
    expect(alert).to_be_visible()
    assert len(alert.inner_text()) > 20
    studio.wrong.clear()  # the browser notes the status


def test_pictures_are_shown_as_pictures(studio):
    page = studio.go("data", "digits")
    expect(page.locator("#rows img")).to_have_count(12)
    expect(page.locator("#columns")).to_have_count(0)
    expect(page.locator("#lede")).to_contain_text("1 797 grey pictures of 8 × 8 pixels".replace(" 797", "\u202f797"))


def test_why_it_is_read_so_is_said(studio):
    page = studio.go("data", "digits")
    page.get_by_text("Why?").click()
    assert page.locator("#what .listing li").count() >= 1


def test_a_model_is_trained_stopped_and_continued(studio):
    """Begun on the page, watched while it works, stopped, and gone on with after the tab was closed.

    The networks are so wide that the training cannot be over before it is stopped, however slow the browser is.
    """
    page = studio.go("data", "digits")
    page.locator("#run-name").fill("from the page")
    page.get_by_text("All settings of the recipe").click()
    for label, value in (("n_latent", "3"), ("hidden", "512,512"), ("validate_every", "40"), ("batch_size", "512")):
        page.get_by_label(label, exact=True).fill(value)
        page.get_by_label(label, exact=True).blur()
    page.locator("#length").select_option("steps:20000")
    page.locator("#start").click()
    expect(page.locator("h1")).to_have_text("from the page")
    expect(page.locator("#curves svg .line").first).to_be_visible(timeout=JOB)
    expect(page.locator("#samples img").first).to_be_visible(timeout=JOB)
    expect(page.locator("#jobs .job")).to_contain_text("from the page")
    page.close()
    studio.page = page = studio.tab()
    studio.go("run", "from%20the%20page", "training")
    stays = [page.locator(place).element_handle(timeout=JOB) for place in ("#stop", "#jobs .job button")]
    before = page.locator(".stats .value").first.inner_text()
    expect(page.locator(".stats .value").first).not_to_have_text(before, timeout=JOB)
    assert all(button.evaluate("e => e.isConnected") for button in stays)  # one that is exchanged loses a click
    page.locator("#stop").click()
    expect(page.locator("#resume")).to_be_visible(timeout=JOB)
    expect(page.locator("#curves svg .line").first).to_be_visible()
    page.locator("#resume").click()
    expect(page.locator("#stop")).to_be_visible()
    expect(page.locator(".stats .value").first).not_to_have_text(re.compile(r"^0\b"))
    page.locator("#stop").click()
    expect(page.locator("#resume")).to_be_visible(timeout=JOB)


def test_settings_that_cannot_be_are_answered_in_words(studio):
    page = studio.go("data", "digits")
    page.locator("#run-name").fill("wrong settings")
    page.get_by_text("All settings of the recipe").click()
    page.get_by_label("n_latent", exact=True).fill("-3")
    page.get_by_label("n_latent", exact=True).blur()
    page.locator("#start").click()
    expect(page.locator(".actions .warn")).to_contain_text("n_latent", timeout=JOB)


def test_a_finished_run_shows_its_curves_and_facts(studio):
    page = studio.go("run", "people", "training")
    expect(page.locator("#curves svg .line")).to_have_count(4)
    expect(page.locator(".stats .value")).to_have_count(4)
    expect(page.locator("#longer")).to_contain_text("240")
    page.get_by_text("What can be done with this run").click()
    expect(page.locator("#facts")).to_contain_text("impute")


def test_a_run_that_is_not_there_is_said(studio):
    page = studio.go("run", "nothing%20here", "map")
    expect(page.get_by_role("alert")).to_contain_text("There is no run 'nothing here'")
    studio.wrong.clear()


@pytest.mark.parametrize("code", ["en", "ja"])
def test_the_page_speaks_languages(studio, code):
    page = studio.page
    page.get_by_role("combobox").first.select_option(code)
    expect(page.locator("h1")).to_have_text({"en": "What do you have?", "ja": "データを選ぶ"}[code])
    assert page.locator("html").get_attribute("lang") == code
    page.reload()
    expect(page.locator("h1")).to_have_text({"en": "What do you have?", "ja": "データを選ぶ"}[code])


def test_a_server_that_has_gone_is_said(studio):
    expect(studio.page.locator("h1")).to_be_visible()
    studio.context.set_offline(True)
    page = studio.go("run", "people", "sample")
    expect(page.get_by_role("alert")).to_contain_text("does not answer")
    studio.context.set_offline(False)
    studio.wrong.clear()
