"""Lines of standard input that are scored as they come."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import senzai
from senzai.apps.cli import app
from senzai.apps.cli.arriving import each
from senzai.core.errors import InputError


@pytest.fixture(scope="module")
def taxi(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lines")
    t = np.arange(40)
    frame = pd.DataFrame({
        "when": pd.date_range("2024-01-01", periods=40, freq="h"), "v": (10 * np.sin(t / 4)).round(2), "w": t % 3,
    })
    frame.loc[7, "v"] = np.nan
    frame.to_csv(folder / "taxi.csv", index=False)
    senzai.fit(
        folder / "taxi.csv", kind="series", columns="v,w", window=6, steps=1, width=4, n_latent=2, sampler="none",
        out=folder / "run",
    )
    return folder


def test_lines_are_answered_as_the_file_is(taxi):
    words = ["score-steps", str(taxi / "run"), "-", "--seed", "3"]
    done = CliRunner().invoke(app, words, input=(taxi / "taxi.csv").read_text())
    assert done.exit_code == 0, done.stderr
    found = pd.read_csv(io.StringIO(done.stdout))
    whole = senzai.load(taxi / "run").score_steps(taxi / "taxi.csv", seed=3)
    assert found.columns.tolist() == ["when", "score"]
    assert pd.to_datetime(found["when"]).tolist() == whole["when"].tolist()
    assert found["score"].tolist() == whole["score"].tolist()


def test_each_line_is_answered_before_the_next_is_read(taxi):
    run, said, known = senzai.load(taxi / "run"), [], []

    def lines():
        for line in (taxi / "taxi.csv").read_text().splitlines()[:12]:
            known.append(len(said))
            yield line

    each(run.stream(), lines(), said.append)
    assert known == [0, 0, 0, 0, 0, 0, 0, 2, 3, 4, 5, 6]  # the header and the first score after six steps
    assert len(said) == 12


def test_lines_that_cannot_be_read_are_refused(taxi, cli):
    run = senzai.load(taxi / "run")
    with pytest.raises(InputError, match="line 2"):
        each(run.stream(), ["when,v,w", "2024-01-01 00:00:00,1,2", "2024-01-01 01:00:00,1"], print)
    done = cli.run("score-steps", taxi / "run", "-", "--json")
    assert done.exit_code == 2
    assert "no document" in done.stdout
    cli.refuses("log-likelihood", taxi / "run", "-", said=("step by step",))


def test_a_line_that_cannot_come_is_named_and_nothing_at_all_is_refused(taxi):
    run = senzai.load(taxi / "run")
    lines = ["when,v,w", "2024-01-01 00:00:00,1,2", "2024-01-01 01:00:00,1,abc"]
    with pytest.raises(InputError, match=r"Line 2 behind the header: Values of series are numbers"):
        each(run.stream(), lines, print)
    for nothing in ([], ["when,v,w"]):
        with pytest.raises(InputError, match="no line came"):
            each(run.stream(), nothing, print)


def test_lines_are_read_as_files_are(taxi):
    run, plain, other = senzai.load(taxi / "run"), [], []
    lines = (taxi / "taxi.csv").read_text().splitlines(keepends=True)
    each(run.stream(), lines, plain.append)
    each(run.stream(), ["\ufeff" + lines[0].replace(",", ";"), *(x.replace(",", ";") for x in lines[1:])], other.append)
    assert len(plain) == 41
    assert plain == other
    with pytest.raises(InputError, match="'v' twice"):
        each(run.stream(), ["when,v,v\n", *lines[1:]], print)
    with pytest.raises(InputError, match="UTF-8"):
        each(run.stream(), io.TextIOWrapper(io.BytesIO(b"\xff\xfe\x00"), encoding="utf-8"), print)
