"""Texts: read from every place, to symbols of training rows alone, and back."""

import json

import numpy as np
import pandas as pd
import pytest

from senzai.core.errors import InputError, SettingError, UserError
from senzai.data import detect_kind, open_data
from senzai.data.symbols import UNKNOWN
from senzai.data.text.vocabulary import Vocabulary, learn, unit_for

LINES = ["A dog barks.", "a cat sleeps", "a dog sleeps", "a cat barks!", "the dog isn't here", "the cat is late"] * 4


def back(dataset):
    return dataset.decode(dataset.batch().x)


# --- reading ----------------------------------------------------------------------------------------------------------
@pytest.fixture
def places(tmp_path):
    """The same lines in every sort of file."""
    lines, column = tmp_path / "a.txt", {"text": LINES, "id": [f"{i:03}" for i in range(len(LINES))]}
    lines.write_text("".join(f"{line}\n" for line in LINES), encoding="utf-8")
    frame = pd.DataFrame(column)
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_csv(tmp_path / "a.tsv", index=False, sep="\t")
    frame.to_parquet(tmp_path / "a.parquet")
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(r) + "\n" for r in frame.to_dict("records")))
    (tmp_path / "docs").mkdir()
    for i, line in enumerate(LINES):
        (tmp_path / "docs" / f"{i:03}.txt").write_text(line)
    return tmp_path


@pytest.mark.parametrize("name", ["a.txt", "a.csv", "a.tsv", "a.parquet", "a.jsonl", "docs"])
def test_the_same_texts_come_from_every_place(places, name):
    options = {"least": 1} | ({"column": "text"} if name[2:] in ("csv", "tsv", "parquet", "jsonl") else {})
    found = open_data(places / name, options=options)
    assert found.kind.name == "text"
    assert back(found) == LINES
    same = open_data(LINES, options={"least": 1}).schema
    assert (found.schema.fields, found.schema.fingerprint) == (same.fields, same.fingerprint)


def test_lists_series_and_frames_come_back_as_what_they_were():
    index = [f"r{i}" for i in range(len(LINES))]
    series = pd.Series(LINES, index=index)
    frame = pd.DataFrame({"note": LINES, "n": range(len(LINES))}, index=index)
    assert back(open_data(LINES, options={"least": 1})) == LINES
    one = back(open_data(series, options={"least": 1}))
    assert isinstance(one, pd.Series)
    assert one.index.tolist() == index
    many = back(open_data(frame, options={"least": 1, "column": "note"}))
    pd.testing.assert_frame_equal(many, frame[["note"]])


def test_a_table_stays_a_table_unless_a_column_is_named(places):
    assert detect_kind(places / "a.csv") == "table"
    assert detect_kind(places / "a.csv", {"column": "text"}) == "text"
    assert detect_kind(["one", "two"]) == "text"
    assert detect_kind([[1.0, 2.0], [3.0, 4.0]]) == "array"


def test_folders_in_a_folder_are_classes(tmp_path):
    for label in ("good", "bad"):
        (tmp_path / label).mkdir()
        for i in range(12):
            (tmp_path / label / f"{i}.txt").write_text(f"a {label} film no {i % 3}")
    found = open_data(tmp_path, options={"least": 1, "condition": "label"})
    assert found.schema.label.classes == ("bad", "good")
    assert found.batch().c.shape == (24, 2)


def test_a_label_is_a_column(places):
    frame = pd.DataFrame({"t": LINES, "sort": ["x", "y"] * 12})
    found = open_data(frame, options={"column": "t", "label": "sort", "least": 1})
    assert found.schema.label.classes == ("x", "y")
    assert found.rows.targets.y.tolist() == [0, 1] * 12


@pytest.mark.parametrize(("encoding", "text"), [
    ("utf-8-sig", "déjà vu"), ("utf-16", "déjà vu"), ("cp1252", "déjà vu naïve façade être"),
    ("shift_jis", "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。"
     "何でも薄暗いじめじめした所でニャーニャー泣いていた"),
])
def test_encodings_are_recognised(tmp_path, encoding, text):
    path = tmp_path / "a.txt"
    path.write_bytes("\n".join([text] * 40).encode(encoding))
    assert back(open_data(path, options={"least": 1, "unit": "characters"})) == [text] * 40


def test_empty_lines_are_left_out_and_counted(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("one two\n\n  \none two\none\ntwo\none two\n")
    found = open_data(path, options={"least": 1})
    assert len(found) == 5
    assert any("2 empty lines" in reason for reason in found.schema.reasons)


@pytest.mark.parametrize(("name", "content", "said"), [
    ("a.txt", b"", "no text"), ("a.txt", b"\n \n", "no text"), 
    ("a.txt", b"\x00\x01\x02\x00\xff" * 50, "zero bytes|encoding"),
    ("a.jsonl", b'{"t": "a"}\nnot json\n', "line 2"), ("a.csv", b"a,b\n1,2\n", "columns a, b"),
    ("a.jsonl", b'{"t": "a"}\n{"t": null}\n', "row 1"), ("a.parquet", b"PAR1", "a.parquet"),
])
def test_what_is_no_text_is_refused_in_words(tmp_path, name, content, said):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UserError, match=said):
        open_data(path, kind="text", options={"column": "t"} if name != "a.txt" else {})


def test_words_that_never_repeat_are_refused_with_the_way_out():
    with pytest.raises(InputError, match="least=1"):
        open_data(["ab", "cd", "ef", "gh"], options={"unit": "words"})


def test_an_unknown_unit_is_refused():
    with pytest.raises(SettingError, match="unit"):
        open_data(LINES, options={"unit": "syllables"})


# --- symbols ----------------------------------------------------------------------------------------------------------
def test_symbols_are_learned_from_training_rows_alone():
    texts = [f"word{i} and word{i}" for i in range(60)]
    found = open_data(texts, options={"unit": "words", "least": 1})
    parts = found.split_indices()
    known = set(found.schema.details.symbols)
    assert all(f" word{i}" in known for i in parts["train"])
    assert not any(f" word{i}" in known for part in ("validation", "test") for i in parts[part])
    codes = found.batch(parts["test"]).x[:, 0]
    assert (codes == UNKNOWN).all()


def test_rows_end_with_the_end_and_lengths_count_it():
    found = open_data(LINES, options={"least": 1})
    batch = found.batch()
    last = batch.x.gather(1, batch.lengths.unsqueeze(1) - 1)
    assert (last == 0).all()
    assert [int(n) for n in batch.lengths] == [len(Vocabulary(found.schema.details).pieces(t)) + 1 for t in LINES]


def test_longer_texts_are_cut_and_counted():
    found = open_data(LINES, options={"least": 1, "max_tokens": 3})
    assert found.schema.event_shape == (4,)
    assert any("are cut after 3" in reason for reason in found.schema.reasons)
    assert back(found)[4] == "the dog isn't"
    later = open_data(["a dog barks and barks and barks"], schema=found.schema)
    assert int(later.batch().lengths[0]) == 4


PLANES = ["🐕 barks", "e\u0301tude", "مرحبا بالعالم", "שלום", "犬が吠える", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢", "a\u200bb", "", "line\nbreak",
          "tab\there  two"]


@pytest.mark.parametrize("unit", ["characters", "bpe"])
def test_every_text_goes_there_and_back(unit):
    if unit == "bpe":
        pytest.importorskip("tokenizers")
    import unicodedata

    words = Vocabulary(learn(PLANES, unit=unit, lower=False, most_symbols=600, least=1, most=99))
    for text in [*PLANES, *(["𐍈" * 10_000] if unit == "bpe" else [])]:
        assert words.text(words.codes(text)) == unicodedata.normalize("NFC", text)


def test_words_go_there_and_back_but_for_spaces():
    words = Vocabulary(learn(LINES, unit="words", lower=False, most_symbols=99, least=1, most=9))
    for text in LINES:
        assert words.text(words.codes(f"  {text.replace(' ', '   ')} ")) == text


def test_what_is_unknown_is_shown_as_such():
    words = Vocabulary(learn(["a b", "a c"], unit="words", lower=True, most_symbols=2, least=1, most=9))
    assert words.text(words.codes("A z b")) == "a ⟨?⟩ b"


def test_scripts_without_spaces_are_read_by_characters():
    assert unit_for(["犬が公園で元気よく吠えている", "猫が家の中で静かに寝ている"] * 3, 100) == "characters"
    assert unit_for(LINES, 100) == "words"


# --- writing ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("suffix", [".txt", ".jsonl", ".csv", ".tsv"])
def test_what_is_written_is_read_again(tmp_path, suffix):
    found = open_data(LINES, options={"least": 1})
    path = tmp_path / f"b{suffix}"
    found.kind.write(LINES, path, found.schema)
    assert back(open_data(path, options={"least": 1, "column": "text"}, kind="text")) == LINES


def test_a_line_break_is_no_line(tmp_path):
    found = open_data(LINES, options={"least": 1})
    with pytest.raises(InputError, match="jsonl"):
        found.kind.write(["a\nb"], tmp_path / "b.txt", found.schema)
    assert not (tmp_path / "b.txt").exists()


def test_json_goes_there_and_back():
    found = open_data(LINES, options={"least": 1})
    told = found.kind.to_json(LINES, found.schema)
    assert open_data(found.kind.from_json(told, found.schema), schema=found.schema).batch().x.equal(found.batch().x)
    with pytest.raises(InputError, match="list of text"):
        found.kind.from_json([1, 2], found.schema)


def test_a_split_by_groups_holds(places):
    frame = pd.DataFrame({"t": LINES, "who": np.repeat(list("abcdefgh"), 3)})
    found = open_data(frame, options={"column": "t", "groups": "who", "least": 1})
    who = {name: set(frame["who"].iloc[rows]) for name, rows in found.split_indices().items()}
    assert not who["train"] & who["test"]
