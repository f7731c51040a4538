"""A run goes to a hub and comes back; nothing else comes with it, and no message repeats a token."""

from __future__ import annotations

import json
import logging
import os
import shutil

import pandas as pd
import pytest
from typer.testing import CliRunner

import senzai
from senzai.apps.cli import app
from senzai.core.errors import BundleError, InputError, OutputError, SenzaiError
from senzai.sharing.hub import without_secrets

NAME = "somebody/people"
# What the hub's package tells its own transport when it uploads a large file.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
TOKEN = "hf_" + "planted" * 4


@pytest.fixture
def pushed(run, hub):
    done = run.push(NAME)
    hub.asked.clear()
    return done


# --- there and back -------------------------------------------------------------------------------------------------
def test_a_run_that_was_pushed_is_the_same_when_it_is_loaded(run, table, hub):
    done = run.push(NAME)
    assert done["url"] == f"{hub.address}/{NAME}"
    assert done["commit"] == hub.commit(NAME)
    there = senzai.load(f"hf://{NAME}")
    frame = pd.read_csv(table)
    pd.testing.assert_frame_equal(there.encode(frame), run.encode(frame))
    pd.testing.assert_frame_equal(there.sample(7, seed=1), run.sample(7, seed=1))
    assert there.metrics["evaluate"] == run.metrics["evaluate"]
    assert there.history == run.history
    assert there.folder is None


def test_json_safetensors_and_a_card_go_there_and_nothing_else(run, table, hub, pushed):
    files = hub.repositories[NAME]
    assert {name.rpartition(".")[2] for name in files} == {"gitattributes", "json", "jsonl", "safetensors", "md"}
    assert set(pushed["files"]) == set(files) - {".gitattributes"}
    assert "reference.safetensors" not in files  # training rows
    for raw in files.values():
        assert str(table.parent).encode() not in raw


def test_training_rows_go_there_when_that_is_asked_for(run, hub):
    run.push(NAME, rows=True)
    assert "reference.safetensors" in hub.repositories[NAME]


def test_the_card_has_the_measured_numbers_and_how_to_load_it(run, hub, pushed):
    card = hub.repositories[NAME]["README.md"].decode()
    assert card.startswith("---\nlibrary_name: senzai\n")
    assert f'senzai.load("hf://{NAME}")' in card
    assert f"log_likelihood: {run.metrics['evaluate']['log_likelihood']:.6g}" in card


def test_a_new_repository_is_private_unless_it_is_to_be_public(run, hub):
    run.push(NAME)
    run.push("somebody/open", public=True)
    assert hub.private == {NAME: True, "somebody/open": False}


def test_what_an_earlier_run_left_there_goes(run, hub):
    run.push(NAME, rows=True)
    run.push(NAME)
    assert "reference.safetensors" not in hub.repositories[NAME]
    assert senzai.load(f"hf://{NAME}").schema == run.schema


def test_all_files_are_of_one_commit_and_are_not_downloaded_twice(hub, pushed):
    senzai.load(f"hf://{NAME}")
    asked = [line.split("/resolve/")[1].split("/") for line in hub.asked if "/resolve/" in line]
    assert {words[0] for words in asked} == {"main", pushed["commit"]}
    assert len({words[1] for words in asked if words[0] == "main"}) == 1
    hub.asked.clear()
    senzai.load(f"hf://{NAME}@main")
    assert hub.downloaded() == []


def test_a_repository_that_changes_while_it_is_read_is_not_mixed(hub, pushed, monkeypatch):
    import huggingface_hub

    download = huggingface_hub.hf_hub_download

    def change_first(*words, **options):
        hub.repositories[NAME]["README.md"] += b"."
        return download(*words, **options)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", change_first)
    with pytest.raises(SenzaiError, match="Load it again"):
        senzai.load(f"hf://{NAME}")


def test_offline_the_run_that_was_loaded_before_loads_again(hub, pushed, monkeypatch, run):
    from huggingface_hub import constants

    senzai.load(f"hf://{NAME}")
    hub.asked.clear()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert senzai.load(f"hf://{NAME}").schema == run.schema
    assert hub.asked == []
    with pytest.raises(InputError, match="Offline"):
        senzai.load("hf://somebody/other")


def test_commands_take_an_address(hub, pushed, table, tmp_path):
    for words in (
        ("info", f"hf://{NAME}"), ("sample", f"hf://{NAME}", "-n", "4", "-o", str(tmp_path / "new.csv")),
        ("evaluate", f"hf://{NAME}", str(table), "--k", "3"),
        ("pack", f"hf://{NAME}", "-o", str(tmp_path / "a.zip")),
    ):
        done = CliRunner().invoke(app, list(words))
        assert done.exit_code == 0, (words, done.stderr)
    assert len(pd.read_csv(tmp_path / "new.csv")) == 4


def test_a_run_is_pushed_from_the_command_line(run, hub):
    done = CliRunner().invoke(app, ["push", str(run.folder), NAME, "--json"])
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["url"] == f"{hub.address}/{NAME}"


# --- what is refused ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pkl", "modeling.py", "sub/spec.json", "run.sh"])
def test_anything_else_in_a_repository_is_refused_and_nothing_is_downloaded(hub, pushed, name):
    hub.repositories[NAME][name] = b"cos\nsystem\n(S'true'\ntR."
    with pytest.raises(BundleError, match="nothing else"):
        senzai.load(f"hf://{NAME}")
    assert hub.downloaded() == []


def test_the_card_and_the_licence_are_not_downloaded(hub, pushed):
    hub.repositories[NAME]["LICENSE"] = b"mine"
    senzai.load(f"hf://{NAME}")
    assert {name.rpartition(".")[2] for name in hub.downloaded()} <= {"json", "jsonl", "safetensors"}


def test_announced_sizes_are_looked_at_before_anything_is_downloaded(hub, pushed):
    hub.sizes["weights.safetensors"] = 10**15
    with pytest.raises(BundleError, match="Nothing was read"):
        senzai.load(f"hf://{NAME}")
    assert hub.downloaded() == []


def test_a_file_that_is_not_what_was_announced_is_refused(hub, pushed):
    hub.sizes["spec.json"] = 3
    with pytest.raises((BundleError, SenzaiError), match=r"spec\.json|another size"):
        senzai.load(f"hf://{NAME}")


def test_a_repository_that_is_no_run_is_refused(hub):
    hub.repositories["somebody/else"] = {"README.md": b"hello"}
    with pytest.raises(BundleError, match="lacks"):
        senzai.load("hf://somebody/else")


@pytest.mark.parametrize("address", [
    "hf://", "hf://people", "hf://a/b/c", "hf://../etc", "hf://a/..", "hf://a/b@", "hf://a/b@../x", "hf:///a",
    "hf://a b/c",
])
def test_an_address_that_is_none_is_refused_before_the_hub_is_asked(hub, address):
    with pytest.raises(InputError, match="user/name"):
        senzai.load(address)
    assert hub.asked == []


def test_a_run_is_pushed_under_a_name(run, hub):
    with pytest.raises(InputError, match="user/name"):
        run.push("people")
    assert hub.asked == []


# --- secrets --------------------------------------------------------------------------------------------------------
REFUSED = ((401, InputError), (403, InputError), (404, InputError), (418, SenzaiError))


@pytest.mark.parametrize(("status", "error"), REFUSED)
def test_a_hub_that_refuses_is_told_in_one_sentence_without_the_token(hub, pushed, status, error, caplog, capsys):
    caplog.set_level(logging.DEBUG)
    hub.refuses = status
    with pytest.raises(error) as caught:
        senzai.load(f"hf://{NAME}")
    assert TOKEN in hub.tokens  # it was sent,
    assert TOKEN not in str(caught.value)  # and not said
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    assert TOKEN not in caplog.text
    assert TOKEN not in "".join(capsys.readouterr())


def test_no_token_is_in_a_traceback_or_an_error_of_the_command_line(hub, run, monkeypatch):
    monkeypatch.setenv("SENZAI_DEBUG", "1")
    hub.refuses = 403
    done = CliRunner().invoke(app, ["push", str(run.folder), NAME])
    assert done.exit_code == 2
    assert "hf auth login" in done.stderr
    assert TOKEN not in done.stderr + done.stdout


def test_a_hub_that_is_not_there_is_one_sentence(run, hub, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(SenzaiError, match="could not be asked"):
        senzai.load(f"hf://{NAME}")


def test_a_hub_that_does_not_let_one_write_is_an_output_error(run, hub):
    hub.refuses = 403
    with pytest.raises(OutputError, match="Log in"):
        run.push(NAME)


def test_tokens_are_struck_out_of_text():
    said = without_secrets(f"Authorization: Bearer xyz; {TOKEN}; mysecret", lambda: "mysecret")
    assert said == "Authorization: *** ***; ***"


def test_without_the_package_the_error_names_the_extra(monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "huggingface_hub", None)
    with pytest.raises(senzai.MissingExtraError, match=r"senzai\[hub\]"):
        senzai.load(f"hf://{NAME}")


def test_a_local_folder_is_no_address(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(run.folder, tmp_path / "hf-people")
    assert senzai.load("hf-people").folder is not None
    assert os.listdir(tmp_path) == ["hf-people"]
