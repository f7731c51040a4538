"""Music: notes to symbols and back, MIDI to pieces and back, rows of bars, and numbers of them."""

import json
import tarfile
import zipfile

import numpy as np
import pytest

from senzai.core.errors import InputError, SettingError
from senzai.data import KINDS, open_data
from senzai.data.music import Note, Passage, attributes, pieces, windows
from senzai.data.quantities import decided

pytest.importorskip("symusic")

import symusic

from senzai.data.music import midi, reading

TUNE = (Note(0, 4, 60), Note(4, 2, 64), Note(8, 8, 67), Note(16, 1, 65), Note(18, 14, 62))


def score(notes=TUNE, *, tpq=480, tempos=((0, 120.0),), meters=((0, 4, 4),), name="melody", shift=0):
    made = symusic.Score(tpq)
    track = symusic.Track(name, 0, False)
    step = tpq // 4
    for n in notes:
        track.notes.append(symusic.Note(n.start * step + shift, n.length * step, n.pitch, 90))
    made.tracks.append(track)
    for at, qpm in tempos:
        made.tempos.append(symusic.Tempo(at * step, qpm))
    for at, a, b in meters:
        made.time_signatures.append(symusic.TimeSignature(at * step, a, b))
    return made


def raw(*given, **told):
    return bytes(score(*given, **told).dumps_midi())


def folder(path, n=12):
    path.mkdir()
    for i in range(n):
        (path / f"{i:02d}.mid").write_bytes(raw(tuple(x._replace(pitch=x.pitch + i) for x in TUNE)))
    return path


# --- notes and symbols ------------------------------------------------------------------------------------------------
def test_symbols_are_what_they_are_by_hand():
    piece = Passage(((Note(1, 2, 60), Note(3, 1, 127)),), 6)
    rest, hold, first = pieces.REST, pieces.HOLD, pieces.FIRST
    assert pieces.codes_of_piece(piece) == [rest, first + 60, hold, first + 127, rest, rest]
    assert pieces.n_symbols("melody") == 2 + 130


def test_voices_take_turns_at_each_step():
    piece = Passage(((Note(0, 2, 60),), (Note(1, 1, 48),)), 2)
    first = pieces.FIRST
    assert pieces.codes_of_piece(piece) == [first + 60, pieces.REST, pieces.HOLD, first + 48]


@pytest.mark.parametrize("n", [1, 3])
def test_notes_become_symbols_and_come_back(n):
    rng = np.random.default_rng(n)
    voices = []
    for _ in range(n):
        at, notes = 0, []
        while (at := at + int(rng.integers(0, 3))) < 30:
            length = int(min(rng.integers(1, 6), 32 - at))
            notes.append(Note(at, length, int(rng.integers(0, 128))))
            at += length
        voices.append(tuple(notes))
    piece = Passage(tuple(voices), 32)
    assert pieces.voices_of_codes(pieces.codes_of_piece(piece), 32, n, drums=False) == piece.voices


def test_drums_sound_together_and_come_back():
    hits = (Note(0, 1, 36), Note(0, 1, 42), Note(2, 1, 42), Note(4, 1, 38))
    piece = Passage((hits,), 8, drums=True)
    codes = pieces.codes_of_piece(piece)
    assert codes[0] == 2 + 0b101
    assert pieces.voices_of_codes(codes, 8, 1, drums=True) == (hits,)


def test_of_notes_that_begin_together_the_highest_stays_and_ends_at_the_next():
    found, dropped = pieces.one_at_a_time([Note(0, 16, 60), Note(0, 3, 72), Note(2, 2, 65)])
    assert found == [Note(0, 2, 72), Note(2, 2, 65)]
    assert dropped == 1


def test_a_note_that_sounds_into_a_window_begins_there_anew():
    assert pieces.within(TUNE, 12, 8) == ([Note(0, 4, 67), Note(4, 1, 65), Note(6, 2, 62)], True)


def test_short_and_wild_codes_are_silence():
    assert pieces.voices_of_codes([pieces.HOLD, 1], 8, 1, drums=False) == ((),)


# --- MIDI -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("tpq", [96, 480, 960])
def test_midi_keeps_notes_to_the_grid_whatever_the_tempo(tpq):
    told = {"tpq": tpq, "tempos": ((0, 120.0), (7, 61.5), (16, 200.0)), "meters": ((0, 3, 4),)}
    song = midi.song_of_bytes(raw(**told), "x")
    assert tuple(song.tracks[0].notes) == TUNE
    assert song.meters == ((0, (3, 4)),)
    assert [at for at, _ in song.tempos] == [0, 7, 16]
    assert song.tempo_at(8) == pytest.approx(61.5, rel=1e-4)


def test_pieces_are_written_with_tempo_and_meter_and_read_back():
    made = [Passage((TUNE,), 32, 90.0, (4, 4)), Passage((TUNE,), 32, 150.0, (3, 4))]
    song = midi.song_of_bytes(midi.bytes_of(made), "x")
    assert tuple(song.tracks[0].notes) == (*TUNE, *(n._replace(start=n.start + 32) for n in TUNE))
    assert song.meters == ((0, (4, 4)), (32, (3, 4)))
    assert [(at, round(qpm, 2)) for at, qpm in song.tempos] == [(0, 90.0), (32, 150.0)]


def test_a_grid_beside_the_bars_is_moved_to_the_notes():
    song = midi.song_of_bytes(raw(shift=40), "x")  # a third of a step
    assert tuple(song.tracks[0].notes) == TUNE
    assert song.moved == pytest.approx(1 / 3, abs=1e-3)


# --- rows -------------------------------------------------------------------------------------------------------------
def test_a_folder_becomes_rows_of_bars_and_songs_stay_together(tmp_path):
    data = open_data(folder(tmp_path / "songs"), options={"bars": 1})
    assert data.kind.name == "music"
    assert data.schema.event_shape == (17,)
    assert len(data) == 24
    parts = data.split_indices()
    songs = {name: set(data.rows.about(index)["song"]) for name, index in parts.items()}
    assert not songs["train"] & songs["test"]
    assert not songs["train"] & songs["validation"]
    assert data.batch([0]).lengths.tolist() == [17]


def test_a_song_that_is_cut_is_whole_again(tmp_path):
    path = folder(tmp_path / "songs", 3)
    data = open_data(path, options={"bars": 1})
    back = data.decode(data.batch().x)
    assert [p.voices[0] for p in back] == [tuple(n._replace(pitch=n.pitch + i) for n in TUNE) for i in range(3)]
    again = open_data(path, options={"bars": 2, "stride": 1})
    assert again.decode(again.batch().x)[0].voices[0] == TUNE
    tied = (Note(0, 4, 60), Note(12, 10, 67), Note(24, 8, 65))  # the second sounds into the second bar
    (tmp_path / "tied.mid").write_bytes(raw(tied))
    data = open_data(tmp_path / "tied.mid", options={"bars": 1, "validation": 0, "test": 0})
    rows = [data.kind.decode(data.batch([i]).x, data.schema)[0].voices[0] for i in range(2)]
    assert rows == [(Note(0, 4, 60), Note(12, 4, 67)), (Note(0, 6, 67), Note(8, 8, 65))]
    assert data.decode(data.batch().x)[0].voices[0] == tied


def test_rows_have_the_tempo_that_holds_where_they_begin(tmp_path):
    (tmp_path / "a.mid").write_bytes(raw(tempos=((0, 100.0), (16, 50.0))))
    data = open_data(tmp_path / "a.mid", options={"bars": 1, "validation": 0, "test": 0})
    index = np.arange(2)
    made = data.decode(data.batch([1]).x, about=data.rows.about(index[1:]))
    assert made[0].tempo == pytest.approx(50.0, rel=1e-4)
    assert data.kind.decode(data.batch([0]).x, data.schema)[0].tempo == pytest.approx(100.0, rel=1e-4)


@pytest.mark.parametrize("form", ["zip", "tar.gz"])
def test_archives_are_read_like_folders(tmp_path, form):
    made = folder(tmp_path / "songs", 4)
    path = tmp_path / f"songs.{form}"
    if form == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            for file in made.iterdir():
                archive.write(file, file.name)
    else:
        with tarfile.open(path, "w:gz") as archive:
            archive.add(made, "songs")
    options = {"bars": 1}
    a, b = open_data(path, options=options), open_data(made, options=options)
    assert a.kind.name == "music"
    assert np.array_equal(a.batch().x, b.batch().x)


def test_json_of_voices_and_of_pieces(tmp_path):
    slices = [[60, 48]] * 4 + [[62, -1]] * 4 + [[]] * 8
    path = tmp_path / "jsb.json"
    path.write_text(json.dumps({"train": [slices], "test": [slices, slices]}))
    data = open_data(path, options={"bars": 1})
    assert data.schema.details.part == "voices"
    assert data.schema.event_shape == (33,)
    piece = data.kind.decode(data.batch([0]).x, data.schema)[0]
    assert piece.voices == ((Note(0, 4, 60), Note(4, 4, 62)), (Note(0, 4, 48),))
    data.kind.write([piece, piece], tmp_path / "out.json", data.schema)
    again = open_data(tmp_path / "out.json", schema=data.schema)
    assert again.decode(again.batch([0]).x) == [piece]


def test_bars_of_another_meter_are_left_out_and_counted(tmp_path):
    (tmp_path / "a.mid").write_bytes(raw(meters=((0, 4, 4), (16, 3, 4))))
    data = open_data(tmp_path / "a.mid", options={"bars": 1, "validation": 0, "test": 0, "meter": "4/4"})
    assert len(data) == 2
    other = open_data(tmp_path / "a.mid", options={"bars": 1, "validation": 0, "test": 0})
    assert len(other) == 1
    assert any("another meter than 4/4" in reason for reason in other.schema.reasons)


def test_meters_of_one_beat_say_nothing_of_bars(tmp_path):
    (tmp_path / "a.mid").write_bytes(raw(meters=((0, 1, 4), (24, 2, 4))))
    data = open_data(tmp_path / "a.mid", options={"bars": 1, "validation": 0, "test": 0})
    assert data.schema.details.meter == (4, 4)
    assert len(data) == 2
    assert any("say nothing of bars" in reason for reason in data.schema.reasons)


def test_drums_are_read_from_their_channel(tmp_path):
    made = symusic.Score(480)
    track = symusic.Track("kit", 0, True)
    for t, p in ((0, 36), (240, 44), (480, 40), (480, 57), (600, 81)):
        track.notes.append(symusic.Note(t, 60, p, 90))
    made.tracks.append(track)
    data = open_data([made] * 4, options={"bars": 1, "part": "drums"})
    piece = data.decode(data.batch([0]).x)[0]
    assert piece.voices[0] == (Note(0, 1, 36), Note(2, 1, 42), Note(4, 1, 38), Note(4, 1, 49))
    assert midi.song_of_bytes(midi.bytes_of([piece]), "x").tracks[0].drums


def test_the_melody_is_found_by_name_or_height():
    low, high = score(name="bass").tracks[0], score(tuple(n._replace(pitch=90) for n in TUNE), name="lead").tracks[0]
    both = symusic.Score(480)
    both.tracks.extend([low, high])
    song = midi.song_of_score(both, "x")
    assert windows._melody(song.tracks, None, "x").name == "lead"
    assert windows._melody(song.tracks, "0", "x").name == "bass"
    with pytest.raises(InputError, match="Did you mean 'bass'"):
        windows._melody(song.tracks, "basss", "x")


# --- numbers ----------------------------------------------------------------------------------------------------------
def test_numbers_of_melodies_are_what_they_are_by_hand():
    tune = Passage(((Note(0, 2, 60), Note(2, 4, 67), Note(6, 2, 62), Note(11, 1, 71)),), 16)
    found = {name: attributes.attribute(tune, name) for name in attributes.ATTRIBUTES}
    assert found == {"density": 1.0, "range": 11.0, "syncopation": 0.25, "pitch": 65.0}
    silent = Passage(((),), 16)
    assert attributes.attribute(silent, "density") == 0
    assert np.isnan(attributes.attribute(silent, "range"))


def test_numbers_are_conditions_standardised_by_the_training_rows(tmp_path):
    options = {"bars": 1, "condition": "density,pitch", "properties": "range"}
    data = open_data(folder(tmp_path / "songs"), options=options)
    quantities = {q.name: q for q in data.schema.quantities}
    assert list(quantities) == ["density", "pitch", "range"]
    batch = data.batch()
    assert batch.c.shape == (24, 2)
    assert batch.numbers.shape == (24, 3)
    told = data.kind.encode_condition({"density": [0.75], "pitch": [70]}, data.schema)
    q = quantities["pitch"]
    assert told[0, 1].item() == pytest.approx((70 - q.mean) / q.scale, rel=1e-5)
    train = data.split_indices()["train"]
    assert batch.numbers[train].mean(0).abs().max() < 1e-5
    assert decided({"a": np.array([1.0, 3.0, 9.0])}, np.array([0, 1]))[0].mean == 2.0


# --- what is no music -------------------------------------------------------------------------------------------------
def test_bad_files_are_errors_that_say_what_to_do(tmp_path):
    (tmp_path / "empty.mid").write_bytes(b"")
    (tmp_path / "cut.mid").write_bytes(raw()[:-40])
    (tmp_path / "text.mid").write_text("no music")
    (tmp_path / "silent.mid").write_bytes(raw(()))
    for name, said in (("empty", "is empty"), ("cut", "whole MIDI file"), ("text", "whole MIDI file"),
                       ("silent", "Music has notes")):
        with pytest.raises(InputError, match=said):
            open_data(tmp_path / f"{name}.mid")


def test_bad_files_among_good_ones_are_left_out_and_named(tmp_path):
    path = folder(tmp_path / "songs", 6)
    (path / "bad.mid").write_bytes(b"MThd")
    data = open_data(path, options={"bars": 1})
    assert any("1 of 7 files" in r and "bad.mid" in r for r in data.schema.reasons)


def test_times_that_no_music_has_are_refused_before_memory_is_taken():
    made = symusic.Score(1)
    track = symusic.Track("x", 0, False)
    track.notes.append(symusic.Note(2**27, 1, 60, 90))
    made.tracks.append(track)
    with pytest.raises(InputError, match="sixteenths"):
        midi.song_of_score(made, "x")


def test_meters_of_no_whole_sixteenths_and_wild_tempos_are_no_reason_to_stop(tmp_path):
    (tmp_path / "a.mid").write_bytes(raw(meters=((0, 3, 32), (16, 4, 4)), tempos=((0, 0.001), (16, 100000.0))))
    data = open_data(tmp_path / "a.mid", options={"bars": 1, "validation": 0, "test": 0})
    assert data.schema.details.meter == (4, 4)
    assert data.decode(data.batch().x, about=data.rows.about(np.arange(len(data))))[0].tempo == 1000.0


@pytest.mark.parametrize("wrong", [[[[1, 2], 3]], [[["a"]]], [[]], [5], [[[200, 1]]], {"voices": 3}])
def test_json_that_is_no_music(tmp_path, wrong):
    path = tmp_path / "x.json"
    path.write_text(json.dumps(wrong))
    with pytest.raises(InputError):
        open_data(path, kind="music")


def test_plain_pieces_go_there_and_back_and_bad_ones_are_refused():
    kind, piece = KINDS["music"], Passage((TUNE,), 32, 98.0, (3, 4))
    data = open_data([piece] * 3, options={"bars": 1})
    assert kind.from_json(kind.to_json([piece], data.schema), data.schema) == [piece]
    for bad in ({"steps": 4}, {"steps": 4, "voices": [[[0, 1, 128]]]}, {"steps": 4, "voices": [[[9, 1, 60]]]},
                {"steps": 10**9, "voices": []}, {"steps": 4, "voices": [], "tempo": 0},
                {"steps": 4, "voices": [], "meter": [4, 5]}):
        with pytest.raises(InputError):
            kind.from_json([bad], data.schema)
    with pytest.raises(InputError, match="list of pieces"):
        kind.from_json({}, data.schema)


def test_settings_that_cannot_be():
    piece = Passage((TUNE,), 32)
    with pytest.raises(SettingError, match="time signature"):
        open_data([piece] * 3, options={"meter": "4/5"})
    with pytest.raises(SettingError, match="Did you mean 'density'"):
        open_data([piece] * 3, options={"properties": "densty"})
    with pytest.raises(InputError, match="symbols"):
        open_data([Passage((TUNE,) * 16, 32)] * 3, options={"bars": 64, "voices": 16})
    assert reading.is_music(piece)
    assert not reading.is_music([1, 2])
