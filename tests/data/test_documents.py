"""Documents as counts of words: every source, the way back, and what is refused."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from senzai.core.errors import InputError, SettingError
from senzai.data import KINDS, detect_kind, open_data
from senzai.data.bags import words_of

WHOLE = {"validation": 0, "test": 0}
FEW = {"least": 1, "most_share": 1.0, "validation": 0, "test": 0}
DOCS = ["Tea and milk, tea", "Milk!", "coffee with milk", "Tea leaf"]


def dense(data):
    return data.batch().x.numpy()


@pytest.fixture
def feat(tmp_path):
    (tmp_path / "train.feat").write_text("3 1:2 4:1\n7 2:1 1:1 1:1\n9 3:5\n1 4:1 2:2\n")
    (tmp_path / "vocab.new").write_text("tea 6494\nmilk 6114\nleaf 5\ncup 1\n")
    return tmp_path


COUNTS = [[2, 0, 0, 1], [2, 1, 0, 0], [0, 0, 5, 0], [0, 2, 0, 1]]


# --- in ---------------------------------------------------------------------------------------------------------------
def test_a_count_file_with_its_vocabulary(feat):
    data = open_data(feat / "train.feat", options={"vocabulary": str(feat / "vocab.new")})
    assert data.schema.kind == "documents"
    assert words_of(data.schema) == ("tea", "milk", "leaf", "cup")
    assert dense(data).tolist() == COUNTS  # numbers from 1, repeated ones added
    assert data.schema.label is None
    assert "label=label" in " ".join(data.schema.reasons)


def test_numbers_from_zero_where_a_zero_is_seen(tmp_path):
    (tmp_path / "x.feat").write_text("1 0:2 2:1\n1 1:1\n")
    data = open_data(tmp_path / "x.feat", options=WHOLE)
    assert dense(data).tolist() == [[2, 0, 1], [0, 1, 0]]
    assert data.schema.columns == ("w0", "w1", "w2")
    later = open_data(tmp_path / "x.feat", schema=data.schema)
    assert (dense(later) == dense(data)).all()


def test_the_first_cell_as_a_label(feat):
    data = open_data(feat / "train.feat", options={"label": "label"})
    assert data.schema.label.classes == ("1", "3", "7", "9")


@pytest.mark.parametrize("form", ["csr", "array", "npz", "folder", "csv", "frame", "mappings"])
def test_sources_that_were_counted_agree(form, feat, tmp_path):
    matrix = sp.csr_array(np.array(COUNTS))
    words = str(feat / "vocab.new")
    names = ["tea", "milk", "leaf", "cup"]
    options: dict = {"vocabulary": words}
    source: object = matrix
    if form == "array":
        source = np.array(COUNTS)
    if form == "npz":
        source = tmp_path / "m.npz"
        sp.save_npz(source, matrix)
    if form == "folder":
        from senzai.data.sparse import of_scipy

        source = tmp_path / "m"
        of_scipy(matrix, "m").save(source)
    if form == "csv":
        source, options = tmp_path / "m.csv", {}
        pd.DataFrame(COUNTS, columns=names).to_csv(source, index=False)
    if form == "frame":
        source, options = pd.DataFrame(COUNTS, columns=names), {}
    if form == "mappings":
        source, options = [{n: c for n, c in zip(names, row, strict=True) if c} for row in COUNTS], {}
    data = open_data(source, kind="documents", options=options)
    at = [words_of(data.schema).index(n) for n in names]
    assert dense(data)[:, at].tolist() == COUNTS


def test_texts_are_counted_in_small_letters_without_stop_words():
    data = open_data(DOCS, kind="documents", options=FEW)
    assert data.schema.columns == ("coffee", "leaf", "milk", "tea")
    assert dense(data).tolist() == [[0, 0, 1, 2], [0, 0, 1, 0], [1, 0, 1, 0], [0, 1, 0, 1]]


def test_words_are_those_of_training_rows_alone():
    docs = [f"tea w{chr(97 + i)}x" for i in range(20)]
    data = open_data(docs, kind="documents", options={"least": 1, "most_share": 1.0, "test": 0.3})
    train = data.split_indices()["train"]
    seen = {w for i in train for w in docs[i].split()}
    assert set(data.schema.columns) == seen
    assert len(seen) < 21


def test_rare_and_usual_words_do_not_count():
    docs = ["cup tea", "cup tea", "cup milk", "cup pot"]
    options = {**FEW, "least": 1, "most_share": 0.5}
    assert open_data(docs, kind="documents", options=options).schema.columns == ("milk", "pot", "tea")
    with pytest.raises(InputError, match="Lower least"):
        open_data(docs, kind="documents", options={**FEW, "least": 3, "most_share": 0.5})
    only = open_data(docs, kind="documents", options={**FEW, "max_words": 2})
    assert only.schema.columns == ("cup", "tea")


def test_pairs_of_characters_for_scripts_without_spaces():
    data = open_data(["猫が寝る。", "犬が寝る"], kind="documents", options={**FEW, "unit": "pairs"})
    assert set(data.schema.columns) == {"猫が", "が寝", "寝る", "犬が"}
    told = open_data(["猫が家で静かに寝ていました とても"] * 2, kind="documents", options=FEW).schema.reasons
    assert not any("unit=pairs" in r for r in told)
    told = open_data(["猫が家で静かに寝ていました", "犬が外で元気に走っていました。猫が家で静かに寝ていました"] * 2,
                     kind="documents", options=FEW).schema.reasons
    assert any("unit=pairs" in r for r in told)


def test_other_texts_lose_words_that_the_model_does_not_count():
    schema = open_data(DOCS, kind="documents", options=FEW).schema
    later = open_data(["tea and sugar", "sugar"], schema=schema)
    assert dense(later).tolist() == [[0, 0, 0, 1], [0, 0, 0, 0]]
    mapped = open_data([{"tea": 2, "sugar": 4}], schema=schema)
    assert dense(mapped).tolist() == [[0, 0, 0, 2]]
    assert "1 words" in " ".join(mapped.schema.reasons)


def test_claims(feat):
    (feat / "plain.txt").write_text("a dog\na cat\n")
    (feat / "counts.txt").write_text("1 2:3\n")
    assert detect_kind(feat / "train.feat") == detect_kind(feat / "counts.txt") == "documents"
    assert detect_kind(feat / "plain.txt") == "text"
    assert detect_kind([{"tea": 2}, {"milk": 1}]) == "documents"


# --- out --------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("suffix", [".feat", ".npz", ".csv"])
def test_counts_come_back_from_a_file(feat, tmp_path, suffix):
    data = open_data(feat / "train.feat", options={"vocabulary": str(feat / "vocab.new")})
    out = tmp_path / f"new{suffix}"
    data.kind.write(data.decode(data.batch().x), out, data.schema)
    again = open_data(out, schema=data.schema, options={"vocabulary": str(feat / "vocab.new")})
    assert dense(again).tolist() == COUNTS


def test_texts_come_back_as_bags_of_words(tmp_path):
    data = open_data(DOCS, kind="documents", options=FEW)
    made = data.decode(data.batch().x)
    assert made[0] == "tea tea milk"
    data.kind.write(made, tmp_path / "new.txt", data.schema)
    assert (dense(open_data(tmp_path / "new.txt", schema=data.schema)) == dense(data)).all()


@pytest.mark.parametrize("source", [DOCS, [{"tea": 2, "cup": 1}, {"milk": 1}], sp.csr_array(np.array(COUNTS))])
def test_json_there_and_back(source):
    kind = KINDS["documents"]
    data = open_data(source, kind="documents", options=FEW)
    plain = kind.to_json(data.decode(data.batch().x), data.schema)
    again = open_data(kind.from_json(plain, data.schema), schema=data.schema)
    assert (dense(again) == dense(data)).all()


def test_means_are_a_table():
    data = open_data(DOCS, kind="documents", options=FEW)
    made = data.decode(data.batch().x + 0.25, soft=True)
    assert list(made.columns) == list(data.schema.columns)
    assert made.iat[0, 3] == 2.25


# --- refused ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("text", "said"), [
    ("", "document a line"),
    ("\n\n", "document a line"),
    ("1 9:1\n", "has the word 9"),
    ("1 0:1 5:1\n", "has the word 5"),
    ("1 2:-1\n", "whole numbers from 0 up"),
    ("1 2:0.5\n", "no counts"),
    ("1 2:nan\n", "Mend the line"),
    ("1 2:1e99\n", "whole numbers"),
    ("1 2 3\n", "Mend the line"),
    ("1 2:1 :2\n", "Mend the line"),
    ("1 2:1 3:4:5\n", "Mend the line"),
    ("1 1.5:2\n", "Mend the line"),
    ("1 -2:2\n", "Mend the line|has the word"),
    ("1 99999999999999:1\n", "Mend the line|has the word"),
    ("1\n2\n", "two different words"),
])
def test_bad_count_files(feat, text, said):
    (feat / "bad.feat").write_text(text)
    with pytest.raises(InputError, match=said):
        open_data(feat / "bad.feat", options={"vocabulary": str(feat / "vocab.new"), **WHOLE})


def test_a_number_beyond_reason_takes_no_memory(tmp_path):
    (tmp_path / "x.feat").write_text("1 900000000:1\n")
    with pytest.raises(InputError, match="vocabulary=FILE"):
        open_data(tmp_path / "x.feat")


def test_broken_text_and_binary_files(tmp_path):
    (tmp_path / "a.feat").write_bytes(b"1 1:1\n2 \xff\xfe2:1\n")
    (tmp_path / "b.feat").write_bytes(b"\x00\x01\x02" * 50)
    for name in ("a.feat", "b.feat"):
        with pytest.raises(InputError):
            open_data(tmp_path / name, kind="documents", options={"encoding": "utf-8"})


def test_a_vocabulary_of_another_length_or_with_a_word_twice(tmp_path):
    (tmp_path / "v.txt").write_text("tea\nmilk\n")
    (tmp_path / "w.txt").write_text("tea\ntea\n")
    for name, said in (("v.txt", "it has 2"), ("w.txt", "twice")):
        with pytest.raises(InputError, match=said):
            open_data(sp.csr_array(np.array(COUNTS)), kind="documents", options={"vocabulary": str(tmp_path / name)})


def test_a_vocabulary_of_one_word():
    with pytest.raises(InputError, match="two different words"):
        open_data(["tea tea", "tea"], kind="documents", options=FEW)


def test_one_document_is_enough_to_read_and_a_missing_column_is_named(tmp_path):
    assert len(open_data(["tea milk"], kind="documents", options=FEW)) == 1
    (tmp_path / "x.csv").write_text("body,stars\nsome tea,1\n")
    with pytest.raises(InputError, match="column='text'"):
        open_data(tmp_path / "x.csv", kind="documents", options={**FEW, "column": "text"})
    with pytest.raises(InputError, match="name their column"):
        open_data(tmp_path / "x.csv", kind="documents", options=FEW)


def test_a_table_with_a_hole_and_weights_instead_of_counts(tmp_path):
    (tmp_path / "x.csv").write_text("tea,milk\n1,\n2,3\n")
    with pytest.raises(InputError, match="row 0"):
        open_data(tmp_path / "x.csv", kind="documents")
    with pytest.raises(InputError, match="tf-idf"):
        open_data(np.array([[0.5, 1.0]]), kind="documents")


def test_other_columns_are_refused():
    schema = open_data(sp.csr_array(np.array(COUNTS)), kind="documents").schema
    with pytest.raises(InputError, match="5 columns"):
        open_data(sp.csr_array(np.ones((2, 5))), schema=schema)
    schema = open_data([{"tea": 1, "milk": 2}] * 3, kind="documents").schema
    with pytest.raises(InputError, match="none of those"):
        open_data([{"rum": 1}], schema=schema)


def test_values_are_counts():
    with pytest.raises(SettingError, match="values=real"):
        open_data(DOCS, kind="documents", options={"values": "real"})
