"""Text tables as they come: names of several lines, any encoding, packed files, codes, numbers as people write them."""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
import zipfile
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from senzai.core.errors import InputError, SettingError
from senzai.data import open_data
from senzai.data.table.amounts import NumberForm

N = 60
RUSSIAN = [
    "Москва", "Казань", "Уфа", "Самара", "Омск", "Пермь", "Екатеринбург", "Воронеж", "Ростов", "Новосибирск",
]
JAPANESE = [
    "東京", "大阪", "表示", "京都", "名古屋", "札幌", "福岡", "神戸", "能力", "カタカナ",
]
CHINESE = [
    "北京", "上海", "广州", "深圳", "成都", "杭州", "武汉", "西安", "有限公司", "重庆",
]
TAIWAN = [
    "臺北", "高雄", "臺中", "新竹", "公司", "許功蓋", "嘉義", "男", "女", "是",
]
KOREAN = [
    "서울", "부산", "대구", "인천", "광주", "대전", "남자", "여자", "아니오", "주식회사",
]
GERMAN = [
    "Zürich", "München", "Köln", "Düsseldorf", "Nürnberg", "Lübeck", "Göttingen", "Würzburg", "Größe", "Straße",
]
FRENCH = [
    "Orléans", "Nîmes", "Besançon", "Sète", "Châlons", "Évreux", "Béziers", "été", "garçon", "forêt",
]


def table(path, text, **options):
    """Open a text table that is written first."""
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return open_data(path, options=options)


def columns(data):
    return {c.name: c for c in data.schema.details.columns}


def lines(*names_and_cells, mark=",", n=N):
    """A text table; each column is a name and a function of the row's number."""
    names, cells = names_and_cells[::2], names_and_cells[1::2]
    rows = [names, *([f(i) for f in cells] for i in range(n))]
    return "".join(mark.join(map(str, row)) + "\n" for row in rows)


# --- the names ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(("head", "names"), [
    ("age,income\n", ["age", "income"]),
    ("\nage,income\n", ["age", "income"]),
    ("\r\n \r\n\r\nage,income\r\n", ["age", "income"]),
    (",\nage,income\n", ["age", "income"]),
    ('"age\n(years)",income\n', ["age\n(years)", "income"]),
    ('\n"age\r\n(in full\r\nyears)","in\ncome"\r\n', ["age\r\n(in full\r\nyears)", "in\ncome"]),
    ("\ufeffage,income\n", ["age", "income"]),
])
def test_names_take_the_lines_they_take(tmp_path, head, names, streamed):
    data = table(tmp_path / "t.csv", head + "".join(f"{20 + i},{1000 + 13 * i}\n" for i in range(N)),
                 in_memory=not streamed)
    frames = list(data.source.pieces(7))
    assert frames[0].columns.tolist() == names
    assert [v for f in frames for v in f.iloc[:, 1]] == [1000 + 13 * i for i in range(N)]
    assert len(data) == data.schema.n_rows == N


# --- encodings ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("encoding", "words"), [
    ("cp1252", GERMAN), ("cp1252", FRENCH), ("cp1251", RUSSIAN), ("koi8_r", RUSSIAN), ("cp866", RUSSIAN),
    ("cp932", JAPANESE), ("euc_jp", JAPANESE), ("gb18030", CHINESE), ("big5", TAIWAN), ("cp949", KOREAN),
    ("utf-16", JAPANESE), ("utf-16-le", GERMAN), ("utf-16-be", RUSSIAN), ("utf-32", KOREAN),
])
def test_the_encoding_is_found_and_said(tmp_path, encoding, words):
    text = lines("city", lambda i: words[i % 10], "x", lambda i: i / 7)
    data = table(tmp_path / "t.csv", text.encode(encoding))
    assert data.source.whole["city"].tolist() == [words[i % 10] for i in range(N)]
    assert f"The file is read as {encoding}; the option encoding=... decides otherwise." in data.schema.reasons


def test_an_encoding_that_is_not_clear_is_refused_and_can_be_named(tmp_path):
    text = lines("answer", lambda i: ["예", "네"][i % 2], "x", lambda i: i / 7).encode("cp949")
    with pytest.raises(InputError, match=r"few words .* could be .*encoding="):
        table(tmp_path / "t.csv", text)
    assert set(table(tmp_path / "t.csv", text, encoding="cp949").source.whole["answer"]) == {"예", "네"}
    with pytest.raises(InputError, match="must be text in the encoding ascii"):
        table(tmp_path / "t.csv", text, encoding="ascii")
    for name in ("klingon", "base64"):
        with pytest.raises(SettingError, match=name):
            table(tmp_path / "t.csv", text, encoding=name)
    with pytest.raises(InputError, match="encoding"):
        table(tmp_path / "t.csv", np.random.default_rng(0).bytes(5000))


# --- packed files ---------------------------------------------------------------------------------------------------
def zipped(data):
    import io

    with zipfile.ZipFile(file := io.BytesIO(), "w") as archive:
        archive.writestr("t.csv", data)
    return file.getvalue()


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(("name", "pack"), [
    ("t.csv.gz", gzip.compress), ("t.csv", gzip.compress), ("t.csv.bz2", bz2.compress), ("t.csv.xz", lzma.compress),
    ("t.csv.zst", lambda data: pa.compress(data, codec="zstd", asbytes=True)), ("t.csv.zip", zipped),
])
def test_packed_files_are_read(tmp_path, name, pack, streamed):
    packed = pack(lines("city", lambda i: "東京大阪"[i % 4], "x", lambda i: i / 7).encode("cp932"))
    data = table(tmp_path / name, packed, in_memory=not streamed)
    assert [v for f in data.source.pieces(9) for v in f["x"]] == [i / 7 for i in range(N)]
    with pytest.raises(InputError, match="must be a whole file"):
        table(tmp_path / name, packed[:-25])


def test_an_archive_of_several_tables_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "t.csv.zip", "w") as archive:
        archive.writestr("a.csv", "x\n1\n")
        archive.writestr("b.csv", "x\n1\n")
    with pytest.raises(InputError, match=r"has 2\. Unpack it"):
        open_data(tmp_path / "t.csv.zip")


# --- codes and missing values ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("code", [
    lambda i: f"+4930{i % 9:05d}", lambda i: f"030{i % 9:04d}", lambda i: f"0x{i % 16:X}", lambda i: f"{i % 7 + 1}E4",
    lambda i: f"+49 30 {i % 9:03d}", lambda i: 2**70 + i % 5,
])
def test_codes_are_text(tmp_path, code):
    data = table(tmp_path / "t.csv", lines("code", code, "x", lambda i: i / 7))
    assert columns(data)["code"].type == "categorical"
    assert data.source.whole["code"].tolist() == [str(code(i)) for i in range(N)]


def test_codes_are_numbers_where_the_user_says_so(tmp_path):
    data = table(tmp_path / "t.csv", lines("a", lambda i: f"{i + 1}E4", "b", lambda i: i % 3), **{"schema.a": "real"})
    assert data.source.whole["a"].tolist() == [(i + 1) * 1e4 for i in range(N)]


@pytest.mark.parametrize("streamed", [False, True])
def test_na_is_namibia_among_codes_of_countries(tmp_path, streamed):
    def holes(codes, **options):
        text = lines("land", lambda i: codes[i % len(codes)], "x", lambda i: i / 7)
        data = table(tmp_path / "t.csv", text, in_memory=not streamed, **options)
        again = open_data(tmp_path / "t.csv", schema=data.schema)
        seen = [int((~d.batch().observed).sum()) if d.batch().observed is not None else 0 for d in (data, again)]
        assert seen[0] == seen[1]  # a model reads the file as it was read to fit it
        return seen[0], " ".join(data.schema.reasons)

    many = ["DE", "NA", "FR", "IT", "ES", "PT"]
    lost, said = holes(many)
    assert lost == 0
    assert "NA is the country" in said
    assert holes(many, na="NA")[0] == 10
    assert holes([*many, "null"])[0] == N // 7  # other marks of what is missing are no countries
    assert holes([*many[:5], "XX"])[0] == 10  # no code of a country
    lost, said = holes(["DE", "NA", "FR"])
    assert lost == 20
    assert "keep=NA takes it as a value" in said
    assert holes(["DE", "NA", "FR"], keep="NA")[0] == 0


# --- numbers as people write them -----------------------------------------------------------------------------------
VALUES = [float((i * 7919 % 100_000) - 20_000) / 100 for i in range(N)]
FORMS = [
    (NumberForm(","), ";"), (NumberForm(",", "."), ";"), (NumberForm(".", ","), ";"), (NumberForm(",", " "), ";"),
    (NumberForm(".", "'"), ","),
    (NumberForm(".", "", "$"), ","), (NumberForm(",", ".", "", " €"), ";"), (NumberForm(".", ",", "CHF "), ";"),
]


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(("form", "mark"), FORMS, ids=lambda v: getattr(v, "name", v))
def test_numbers_are_read_and_written_back_as_they_were(tmp_path, form, mark, streamed):
    scaled = [v * 100 for v in VALUES] if form.thousands else VALUES
    told = [form.text(v, 2) for v in scaled]
    text = lines("a", lambda i: told[i] if i % 5 else "", "b", lambda i: f"x{i % 2}", mark=mark)
    data = table(tmp_path / "t.csv", text, in_memory=not streamed)
    column = columns(data)["a"]
    assert (column.type, column.format) == ("real", replace(form, places=2).name)
    there = [i for i in range(N) if i % 5]
    np.testing.assert_allclose(column.origin + column.step * column.knots[0], min(scaled[i] for i in there))
    np.testing.assert_allclose(column.origin + column.step * column.knots[-1], max(scaled[i] for i in there))
    batch = data.batch()
    assert batch.observed[:, 0].tolist() == [bool(i % 5) for i in range(N)]
    back = data.decode(batch.x)["a"].tolist()
    assert [back[i] for i in there] == [told[i] for i in there]


def test_numbers_that_could_be_two_things_are_text_until_somebody_says(tmp_path):
    def a(**options):
        data = table(tmp_path / "t.csv", lines("a", lambda i: f"{i % 9 + 1},{i * 371 % 1000:03d}", "b", lambda i: i % 3,
                                               mark=";"), **options)
        return columns(data)["a"], data

    column, data = a()
    assert column.format is None
    assert any("decimal=, or thousands=, says which" in r for r in data.schema.reasons)
    assert a(decimal=",")[0].format == NumberForm(",", places=3).name
    assert a(thousands=",")[0].format == NumberForm(".", ",", places=0).name
    whole = a(thousands=",")[0]
    assert whole.origin + whole.step * whole.high == pytest.approx(1000 * a(decimal=",")[0].high)
    with pytest.raises(SettingError, match="one mark cannot stand both"):
        a(decimal=",", thousands=",")


def test_one_column_says_what_another_leaves_open(tmp_path):
    text = lines("a", lambda i: f"{i % 9 + 1},{i * 371 % 1000:03d}", "b", lambda i: f"{i * 7 % 11},{i % 9}", mark=";")
    assert columns(table(tmp_path / "t.csv", text))["a"].format == NumberForm(",", places=3).name


def test_pairs_in_a_table_with_commas_are_no_decimals(tmp_path):
    text = lines("a", lambda i: f'"{i % 3},{i % 2}"', "b", lambda i: i / 7)
    assert columns(table(tmp_path / "t.csv", text))["a"].type == "categorical"
    assert columns(table(tmp_path / "t.csv", text, decimal=","))["a"].format == NumberForm(",", places=1).name


def test_signs_of_currency_that_differ_are_no_numbers_unless_asked(tmp_path):
    some = lines("a", lambda i: f"{'$' if i % 2 else ''}{i * 37 % 101}.5", "b", lambda i: i % 3)
    assert columns(table(tmp_path / "t.csv", some))["a"].format is None
    data = table(tmp_path / "t.csv", some, currency=True)
    assert columns(data)["a"].type == "real"
    assert data.decode(data.batch().x)["a"].str.startswith("$").all()
    all_ = lines("a", lambda i: f"${i * 37 % 101}.5", "b", lambda i: i % 3)
    assert columns(table(tmp_path / "t.csv", all_))["a"].format == NumberForm(".", "", "$", places=1).name
    assert columns(table(tmp_path / "t.csv", all_, currency=False))["a"].format is None


def test_a_cell_in_another_form_is_named(tmp_path):
    fitted = table(tmp_path / "t.csv", lines("a", lambda i: f"{i},5", "b", lambda i: i % 3, mark=";"))
    other = lines("a", lambda i: f"{i}.5", "b", lambda i: i % 3, mark=";")
    (tmp_path / "o.csv").write_text(other)
    with pytest.raises(InputError, match=re.escape("written like -1234,5, but got '0.5' in row 0")):
        open_data(tmp_path / "o.csv", schema=fitted.schema)
    again = open_data(tmp_path / "o.csv", schema=fitted.schema, options={"decimal": "."})
    np.testing.assert_array_equal(again.batch().x, fitted.batch().x)
