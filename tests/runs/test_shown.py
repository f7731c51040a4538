"""How runs look in notebooks: the numbers that were measured, nothing of the data obeyed, and curves that follow."""

from __future__ import annotations

import re
import sys
import types

import numpy as np
import pandas as pd
import pytest

import senzai
from senzai.core import notebook
from senzai.core.sketch import WIDE, curves
from senzai.training.live import LiveCurves, history_curves
from senzai.training.progress_bar import ProgressBar

EVIL = "<script>alert(1)</script>"
ROWS = np.random.default_rng(0).normal(size=(90, 2))
TINY = {"steps": 20, "hidden": [6], "n_latent": 2, "log_every": 5, "validate_every": 10}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp(EVIL.replace("/", "_"))
    made = senzai.fit(pd.DataFrame(ROWS, columns=[EVIL, "b"]), out=folder / "run", **TINY)
    made.evaluate(pd.DataFrame(ROWS, columns=[EVIL, "b"]), k=3)
    return made


def balanced(html: str) -> bool:
    """Whether every tag that opens is closed, in order."""
    open_tags = []
    for slash, tag in re.findall(r"<(/?)(div|span|p|ul|li|details|summary|code|b|svg)\b", html):
        if not slash:
            open_tags.append(tag)
        elif not open_tags or open_tags.pop() != tag:
            return False
    return not open_tags


# --- a run ----------------------------------------------------------------------------------------------------------
def test_a_run_shows_its_numbers_and_which_verbs_fit(run):
    shown = run._repr_html_()
    found = run.metrics["evaluate"]
    assert f"{found['log_likelihood']:.5g} ± {found['log_likelihood_se']:.2g}" in shown
    assert f"{found['bits_per_dim']:.4g}" in shown
    for name, why in run.info()["verbs"].items():
        assert f">{name}</code>" in shown
        if why is not None:
            assert f"<li><code>{name}</code>" in shown
    assert balanced(shown)


def test_nothing_of_the_data_is_obeyed(run):
    run.spec = run.spec.model_copy(update={"source": EVIL})
    shown = run._repr_html_()
    assert "<script" not in shown
    assert "&lt;script&gt;" in shown


def test_it_takes_the_colours_of_the_page(run):
    """No colour of text or paper: only marks have colours, and those are read on light and on dark."""
    shown = run._repr_html_()
    assert not re.search(r"background:(#|white|black)", shown)
    assert set(re.findall(r"[^-]color:(#\w+)", shown)) <= {"#1f9bb0", "#d9792b"}


def test_a_run_that_was_not_judged_and_is_in_memory_shows_too():
    shown = senzai.fit(ROWS, **TINY)._repr_html_()
    assert "in memory" in shown
    assert "bits per dimension" not in shown
    assert "20 steps" in shown


# --- curves ---------------------------------------------------------------------------------------------------------
def test_curves_follow_the_values():
    drawn = curves({"a": ("red", [(0, 0.0), (5, 2.0), (10, 1.0)])}, title="t")
    points = [tuple(map(float, p.split(","))) for p in re.search(r'points="([^"]+)"', drawn)[1].split()]
    assert [x for x, _ in points] == sorted(x for x, _ in points)
    assert points[1][1] < points[2][1] < points[0][1]  # upwards is less in a picture


def test_what_is_not_finite_is_left_out():
    drawn = curves({"a": ("red", [(0, 1.0), (1, float("nan")), (2, float("inf")), (3, 2.0)])}, title="t")
    assert len(re.search(r'points="([^"]+)"', drawn)[1].split()) == 2
    assert curves({"a": ("red", [(0, float("nan"))])}, title="t") == ""


def test_long_histories_are_thinned_and_keep_their_end():
    lines = [{"kind": "train", "step": i, "loss": float(i)} for i in range(10 * WIDE + 7)]
    drawn = history_curves(lines)
    assert WIDE / 2 <= len(re.search(r'points="([^"]+)"', drawn)[1].split()) <= WIDE
    assert f"training {lines[-1]['loss']:.4g}" in drawn
    whole = history_curves(lines[:WIDE])  # as many points as the drawing has pixels from left to right
    assert len(re.search(r'points="([^"]+)"', whole)[1].split()) == WIDE


def test_training_is_drawn_to_its_end():
    shown = []
    made = senzai.fit(ROWS, listeners=[LiveCurves(shown.append)], **TINY)
    assert "finished after 20 steps" in shown[-1]
    assert "width:100.0%" in shown[-1]
    last = [h["loss"] for h in made.history if h["kind"] == "validation"][-1]
    assert f"validation {last:.4g}" in shown[-1]
    assert all(map(balanced, shown))


def test_a_training_that_fails_says_so_escaped():
    shown = []

    class Ends:
        def on(self, event, training):
            if type(event).__name__ == "Validated":
                raise RuntimeError(EVIL)

    with pytest.raises(RuntimeError):
        senzai.fit(ROWS, listeners=[LiveCurves(shown.append), Ends()], **TINY)
    assert "stopped at step 10: &lt;script&gt;" in shown[-1]


# --- where ----------------------------------------------------------------------------------------------------------
def pretend(monkeypatch, **modules):
    for name in ("marimo", "IPython", "IPython.display"):
        monkeypatch.setitem(sys.modules, name, types.SimpleNamespace(**modules[name.replace(".", "_")])
                            if name.replace(".", "_") in modules else None)


def test_marimo_gets_one_output_that_is_replaced(monkeypatch):
    shown = []
    output = types.SimpleNamespace(replace=shown.append)
    pretend(monkeypatch, marimo={"running_in_notebook": lambda: True, "output": output, "Html": lambda t: ("html", t)})
    assert notebook.notebook() == "marimo"
    senzai.fit(ROWS, **TINY)
    assert shown[-1][0] == "html"
    assert "finished after 20 steps" in shown[-1][1]


def test_jupyter_gets_one_output_that_is_replaced(monkeypatch):
    calls = []

    class Handle:
        def update(self, html):
            calls.append(("update", html))

    def display(html, display_id):
        calls.append(("display", html))
        return Handle()

    shell = types.SimpleNamespace(kernel=object())
    shown = {"HTML": lambda t: t, "display": display}
    pretend(monkeypatch, IPython={"get_ipython": lambda: shell, "display": types.SimpleNamespace(**shown)},
            IPython_display=shown)
    assert notebook.notebook() == "jupyter"
    place = notebook.place()
    place("a")
    place("b")
    assert calls == [("display", "a"), ("update", "b")]


def test_a_terminal_shell_of_ipython_is_no_notebook(monkeypatch):
    pretend(monkeypatch, IPython={"get_ipython": lambda: types.SimpleNamespace()})
    assert notebook.notebook() is None
    assert notebook.place() is None


def test_outside_of_notebooks_there_is_a_bar(monkeypatch):
    from senzai.runs.training import train

    made = []
    monkeypatch.setattr(train, "ProgressBar", lambda: made.append(1) or ProgressBar())
    senzai.fit(ROWS, progress=True, **TINY)
    assert made == [1]
    senzai.fit(ROWS, **TINY)
    assert made == [1]
