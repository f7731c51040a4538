"""Runs by name: loaded on demand, anew when their folder was replaced, and no name is a path."""

from __future__ import annotations

import shutil
import threading

import numpy as np
import pytest

import senzai
from senzai.core.errors import BundleError, SettingError
from senzai.serving import Shelf
from senzai.serving.problems import RequestError


def copy(folder, to):
    shutil.copytree(folder, to)
    return to


def test_a_folder_of_runs_is_a_shelf_and_nothing_is_loaded_before_it_is_asked_for(folder):
    shelf = Shelf.of([folder])
    assert shelf.names() == ["digits", "numbers", "people"]
    assert shelf.loaded() == []
    assert shelf.schema("people").kind == "table"
    assert shelf.loaded() == []
    run = shelf.run("people")
    assert shelf.loaded() == ["people"]
    assert shelf.run("people") is run


def test_runs_that_come_later_are_there(folder, tmp_path):
    copy(folder / "numbers", tmp_path / "a")
    shelf = Shelf.of([tmp_path])
    copy(folder / "numbers", tmp_path / "b")
    assert shelf.names() == ["a", "b"]
    assert shelf.run("b").schema.event_shape == (4,)


def test_only_so_many_runs_stay_in_memory(folder):
    shelf = Shelf.of([folder], keep=2)
    for name in ("people", "numbers", "people", "digits"):
        shelf.run(name)
    assert sorted(shelf.loaded()) == ["digits", "people"]


@pytest.mark.parametrize("name", ["..", "../numbers", "/etc", "people/", "people/../numbers", "", ".", "numbers\0"])
def test_a_name_is_never_a_path(folder, name):
    with pytest.raises(RequestError, match="none called") as caught:
        Shelf.of([folder / "people"]).run(name)
    assert caught.value.status == 404


def test_two_runs_of_one_name_and_folders_without_runs_are_refused(folder, tmp_path):
    other = copy(folder / "numbers", tmp_path / "x" / "people")
    with pytest.raises(SettingError, match="are called 'people'"):
        Shelf.of([folder / "people", other])
    with pytest.raises(BundleError, match="neither"):
        Shelf.of([_empty(tmp_path)])
    with pytest.raises(BundleError, match="is none"):
        Shelf.of([tmp_path / "nowhere"])


def _empty(tmp_path):
    (tmp_path / "empty").mkdir()
    return tmp_path / "empty"


def test_a_replaced_folder_is_loaded_anew(folder, tmp_path):
    own = copy(folder / "numbers", tmp_path / "own")
    shelf = Shelf.of([own])
    before = shelf.run("own")
    rows = np.random.default_rng(2).normal(size=(50, 4)).astype(np.float32)
    senzai.fit(rows, out=own, overwrite=True, steps=5, n_latent=2)
    after = shelf.run("own")
    assert after is not before
    assert after.encode(rows).shape == (50, 2)


def test_while_a_folder_is_damaged_the_run_from_before_goes_on(folder, tmp_path):
    own = copy(folder / "numbers", tmp_path / "own")
    shelf = Shelf.of([own])
    before = shelf.run("own")
    whole = (own / "weights.safetensors").read_bytes()
    (own / "weights.safetensors").write_bytes(whole[:100])
    assert shelf.run("own") is before
    (own / "weights.safetensors").write_bytes(whole)
    assert shelf.run("own") is not before


def test_a_folder_that_is_damaged_from_the_start_is_an_error_and_a_removed_one_is_not_there(folder, tmp_path):
    own = copy(folder / "numbers", tmp_path / "own")
    (own / "weights.safetensors").write_bytes(b"none")
    shelf = Shelf.of([own])
    with pytest.raises(BundleError):
        shelf.run("own")
    assert "error" not in shelf.about()[0]
    shutil.rmtree(own)
    with pytest.raises(RequestError, match="none called 'own'"):
        shelf.run("own")


def test_threads_that_ask_at_once_get_one_run(folder):
    shelf, found = Shelf.of([folder / "numbers"]), []
    threads = [threading.Thread(target=lambda: found.append(shelf.run("numbers"))) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(found) == 8
    assert len(set(map(id, found))) == 1
