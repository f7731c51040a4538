"""The notebooks run, from their first cell to their last, at a tiny size."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
TINY = {"STEPS": 12, "N": 800}
USES = ("images", "tables", "anomalies", "dimension-reduction", "augmentation", "disentanglement", "judging", "kind",
        "topics", "sound", "causes", "privacy", "modalities", "medical")


def read(path: Path):
    return nbformat.read(path, as_version=4)


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    """One kernel for all notebooks: it is started once, and its variables are forgotten in between."""
    from jupyter_client.manager import KernelManager

    folder = tmp_path_factory.mktemp("notebooks")
    manager = KernelManager(kernel_name="python3")
    client = nbclient.NotebookClient(
        nbformat.v4.new_notebook(), km=manager, timeout=600, resources={"metadata": {"path": str(folder)}}
    )
    with client.setup_kernel(cleanup_kc=True):
        yield client


def small(path: Path):
    """The notebook with the numbers of its parameters made tiny."""
    book = read(path)
    (cell,) = [c for c in book.cells if "parameters" in c.metadata.get("tags", ())]
    names = re.findall(r"^(\w+) = \d+$", cell.source, re.M)
    assert set(names) <= set(TINY)
    assert len(names) == len(cell.source.splitlines())
    cell.source = "\n".join(f"{name} = {TINY[name]}" for name in names)
    return book


def test_there_is_one_for_each_use():
    assert len(NOTEBOOKS) >= len(USES)
    for use in USES:
        assert any(use in path.stem for path in NOTEBOOKS), use


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_notebook_is_kept_without_outputs_and_begins_with_words(path):
    book = read(path)
    nbformat.validate(book)
    assert all(not c.get("outputs") and c.get("execution_count") is None for c in book.cells)
    assert set(book.metadata) <= {"kernelspec", "language_info"}
    assert book.cells[0].cell_type == "markdown"
    assert book.cells[0].source.startswith("# ")
    words = sum(len(c.source.split()) for c in book.cells if c.cell_type == "markdown")
    assert 40 <= words <= 400
    text = path.read_text(encoding="utf-8")
    assert text == json.dumps(json.loads(text), indent=1, ensure_ascii=False) + "\n"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_notebook_runs(path, kernel):
    book = small(path)
    kernel.nb, kernel._display_id_map = book, {}
    for i, cell in enumerate([nbformat.v4.new_code_cell("%reset -f"), *book.cells]):
        kernel.nb = nbformat.v4.new_notebook(cells=[cell])
        kernel.execute_cell(cell, 0)
        assert not any(o.output_type == "error" for o in cell.get("outputs", [])), i


def test_a_run_and_its_training_are_shown_as_html(kernel):
    """In a kernel, ``fit`` draws curves into one output that it replaces, and a run shows itself."""
    cell = nbformat.v4.new_code_cell("import senzai\nsenzai.fit('digits', steps=20, n_latent=2, log_every=5)")
    kernel.nb = nbformat.v4.new_notebook(cells=[cell])
    kernel.execute_cell(cell, 0)
    shown = [o for o in cell.outputs if o.output_type == "display_data"]
    results = [o for o in cell.outputs if o.output_type == "execute_result"]
    assert len(shown) == 1
    assert "finished after 20 steps" in shown[0].data["text/html"]
    assert "<svg" in shown[0].data["text/html"]
    assert "Variational autoencoder" in results[0].data["text/html"]


MARIMO = """
import marimo
app = marimo.App()

@app.cell
def _():
    import senzai
    run = senzai.fit("digits", steps=20, n_latent=2, log_every=5, network="mlp", hidden=[8])
    return (run,)

@app.cell
def _(run):
    run
    return
"""


@pytest.mark.slow
def test_a_run_and_its_training_are_shown_in_marimo(tmp_path):
    pytest.importorskip("marimo")
    (tmp_path / "book.py").write_text(MARIMO)
    words = [sys.executable, "-m", "marimo", "export", "html", "book.py", "-o", "book.html"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "book.html").read_text()
    for text in ("finished after 20 steps", "Variational autoencoder with", "Verbs that do not fit"):
        assert text in page
