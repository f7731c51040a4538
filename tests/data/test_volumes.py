"""Volumes: where they lie, patches and the way back, patients, and files that are not what they should be."""

from __future__ import annotations

import gzip
import struct

import numpy as np
import pytest

import senzai
from senzai.core.errors import InputError, SettingError
from senzai.data import detect_kind, open_data
from senzai.data.patching import blended, starts_of, weights_of
from senzai.data.volume import Volume, Volumes
from senzai.data.volume.volume import on_grid, resampled, turned_back, upright
from senzai.testing.data import DATA as SMALL

nib = pytest.importorskip("nibabel")
pytest.importorskip("SimpleITK")
MEDICAL = ("anatomical.nii", "example4d.nii.gz", "functional.nii", "image_10426.nii.gz", "standard.nii.gz")


def turned(order=(1, 2, 0), signs=(-1, 1, -1), spacing=(2.0, 1.0, 3.0)) -> np.ndarray:
    affine = np.eye(4)
    affine[:3, :3] = 0
    for axis, (where, sign) in enumerate(zip(order, signs, strict=True)):
        affine[where, axis] = sign * spacing[axis]
    affine[:3, 3] = (5.0, -7.0, 11.0)
    return affine


def some(n=4, size=(6, 5, 4), seed=0, affine=None) -> list[Volume]:
    rng = np.random.default_rng(seed)
    grid = np.eye(4) if affine is None else affine
    return [Volume(rng.normal(size=size).astype(np.float32), grid) for _ in range(n)]


def saved(volumes, folder, names=None):
    folder.mkdir(parents=True, exist_ok=True)
    for i, v in enumerate(volumes):
        nib.save(nib.Nifti1Image(v.values, v.affine), folder / (names[i] if names else f"{i}.nii.gz"))
    return folder


# --- space ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("order", [(0, 1, 2), (1, 2, 0), (2, 1, 0), (1, 0, 2)])
@pytest.mark.parametrize("signs", [(1, 1, 1), (-1, 1, -1), (-1, -1, -1)])
def test_upright_is_what_nibabel_calls_canonical_and_goes_back_exactly(order, signs):
    affine = turned(order, signs)
    given = Volume(np.arange(60.0, dtype=np.float32).reshape(3, 4, 5), affine)
    ours = upright(given)
    theirs = nib.as_closest_canonical(nib.Nifti1Image(given.values, affine))
    assert np.array_equal(ours.values, theirs.get_fdata(dtype=np.float32))
    assert np.allclose(ours.affine, theirs.affine)
    assert given.orientation == "".join(nib.aff2axcodes(affine))
    assert np.array_equal(turned_back(ours.values, given), given.values)


def test_resampling_is_linear_exact_on_planes_and_keeps_the_first_place():
    x, y, z = np.meshgrid(*(np.arange(n) for n in (9, 7, 5)), indexing="ij")
    given = Volume((2.0 * x - y + 0.5 * z).astype(np.float32), np.diag([2.0, 2.0, 2.0, 1.0]))
    made = resampled(given, (3.0, 2.0, 1.0))
    i, j, k = np.meshgrid(*(np.arange(n) for n in made.values.shape), indexing="ij")
    assert made.values.shape == (6, 7, 9)
    assert made.spacing == (3.0, 2.0, 1.0)
    assert np.allclose(made.values, 2.0 * (1.5 * i) - j + 0.5 * (0.5 * k), atol=1e-5)
    back = on_grid(made, given.values.shape, given.affine)  # the last place lies beyond what was sampled
    assert np.allclose(back[:8], given.values[:8], atol=1e-4)


# --- classes --------------------------------------------------------------------------------------------------------
def test_folders_of_several_patients_are_classes_of_all_their_patches(tmp_path):
    for i, name in enumerate(("ill", "well", "ill")):
        saved(some(2, seed=i), tmp_path / "in" / name, [f"{i}{j}.nii.gz" for j in range(2)])
    data = open_data(tmp_path / "in", options={"patch": 4, "overlap": 0.0, "condition": "label"})
    assert data.schema.label.classes == ("ill", "well")
    assert data.schema.label.name == "folder"
    owner = data.source.places[:, 0]  # files come in the order of their paths: four of ill, two of well
    assert data.batch().y.tolist() == (owner >= 4).astype(int).tolist()
    assert data.batch().c.tolist() == np.eye(2)[(owner >= 4).astype(int)].tolist()
    assert data.schema.condition.shares == (2 / 3, 1 / 3)
    with pytest.raises(InputError, match="no labels"):
        open_data(tmp_path / "in" / "ill", schema=data.schema)


def test_folders_of_one_patient_each_are_no_classes(tmp_path):
    for i in range(3):
        saved(some(2, seed=i), tmp_path / "in" / f"sub-{i}" / "anat", [f"sub-{i}_{j}.nii.gz" for j in range(2)])
    data = open_data(tmp_path / "in", options={"patch": 4})
    assert data.schema.label is None
    assert data.schema.split.column == "patient"
    with pytest.raises(SettingError, match="needs a label"):
        open_data(tmp_path / "in", options={"patch": 4, "condition": "label"})


def test_arrays_of_volumes_come_with_labels():
    x, y = np.random.default_rng(0).normal(size=(4, 5, 5, 5)).astype(np.float32), np.array(["b", "a", "b", "a"])
    data = open_data((x, y), kind="volume", options={"patch": 3})
    assert data.schema.label.classes == ("a", "b")
    assert data.batch().y.tolist() == [1 - i % 2 for i in data.source.places[:, 0]]


# --- patches --------------------------------------------------------------------------------------------------------
def test_patches_cover_everything_and_blend_back_to_the_whole():
    whole = np.random.default_rng(0).normal(size=(11, 7, 6))
    patch, stride = (4, 4, 3), (2, 2, 2)
    starts = [(a, b, c) for a in starts_of(11, 4, 2) for b in starts_of(7, 4, 2) for c in starts_of(6, 3, 2)]
    cut = np.stack([whole[a : a + 4, b : b + 4, c : c + 3] for a, b, c in starts])
    assert np.allclose(blended(cut, np.array(starts), weights_of(patch), whole.shape), whole, atol=1e-6)
    assert stride == (2, 2, 2)
    assert starts_of(11, 4, 2)[-1] == 7


def test_a_tile_that_differs_changes_nothing_beyond_itself():
    starts = np.array([[0, 0, 0], [2, 0, 0], [4, 0, 0]])
    cut = np.ones((3, 4, 1, 1))
    cut[2] = 5.0
    made = blended(cut, starts, weights_of((4, 1, 1)), (8, 1, 1)).ravel()
    assert (made[:4] == 1).all()
    assert (made[6:] == 5).all()
    assert (np.diff(made) >= 0).all()


@pytest.mark.parametrize("affine", [np.eye(4), turned()])
def test_rows_there_and_back_are_the_volumes_that_came(affine):
    given = some(affine=affine)
    data = open_data(given, kind="volume", options={"patch": 3, "overlap": 0.4})
    back = data.decode(data.batch().x)
    assert isinstance(back, Volumes)
    assert back.shape == (4, 6, 5, 4)
    for a, b in zip(given, back, strict=True):
        assert np.allclose(a.values, b.values, atol=1e-6)
        assert np.array_equal(a.affine, b.affine)


def test_a_patch_alone_knows_where_it_lies():
    data = open_data(some(3, affine=turned()), kind="volume", options={"patch": 3})
    (place,) = data.rows.about(np.array([5]))["affine"]
    one = data.kind.decode(data.batch([5]).x, data.schema, about=data.rows.about(np.array([5])))[0]
    volume, *start = data.source.places[5].tolist()
    grid = data.source.grid[volume]
    assert np.array_equal(one.affine, place)
    assert np.allclose((place @ [0, 0, 0, 1])[:3], (grid.affine @ [*start, 1])[:3])
    at = tuple(slice(s, s + 3) for s in start)
    assert np.array_equal(one.values, grid.values[at])


def test_arrays_come_back_as_arrays():
    x = np.random.default_rng(0).normal(size=(3, 6, 5, 4)).astype(np.float32)
    data = open_data(x, kind="volume", options={"patch": 3})
    back = data.decode(data.batch().x)
    assert isinstance(back, np.ndarray)
    assert np.allclose(back, x, atol=1e-6)


# --- files ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha"])
def test_files_keep_values_and_affine(tmp_path, suffix):
    data = open_data(some(1, affine=turned()), kind="volume", options={"validation": 0, "test": 0})
    data.kind.write(data.decode(data.batch().x), tmp_path / f"a{suffix}", data.schema)
    again = open_data(tmp_path / f"a{suffix}", options={"validation": 0, "test": 0})
    (one,) = again.decode(again.batch().x)
    assert again.schema.kind == "volume"
    assert np.array_equal(one.values, data.source.given[0].values)
    assert np.allclose(one.affine, turned())


@pytest.mark.parametrize("name", MEDICAL)
def test_real_headers_come_back_to_the_last_bit(data_dir, tmp_path, name):
    path = data_dir / "medical_samples" / name
    image = nib.load(path)
    small = image.slicer[: min(12, image.shape[0]), : min(12, image.shape[1]), : min(12, image.shape[2])]
    nib.save(small, tmp_path / "cut.nii.gz")
    first = nib.load(tmp_path / "cut.nii.gz")
    data = open_data(tmp_path / "cut.nii.gz", options={"frames": "each"})
    data.kind.write(data.decode(data.batch().x), tmp_path / "again", data.schema)
    again = [nib.load(p) for p in sorted((tmp_path / "again").iterdir())]
    values = first.get_fdata(dtype=np.float32).reshape(*first.shape[:3], -1)
    assert len(again) == values.shape[-1]
    for i, one in enumerate(again):
        assert (one.affine == first.affine).all()
        assert one.header["sform_code"] == first.header["sform_code"]
        assert (one.get_qform() == first.get_qform()).all()
        assert one.header.get_xyzt_units() == first.header.get_xyzt_units()
        assert np.allclose(one.get_fdata(dtype=np.float32), values[..., i], rtol=1e-6, atol=1e-4)


def test_what_says_whose_it_is_is_not_written(tmp_path):
    image = nib.Nifti1Image(np.zeros((4, 4, 4), np.float32), np.eye(4))
    image.header["descrip"], image.header["aux_file"], image.header["db_name"] = b"Jane Doe", b"doe.txt", b"DOE"
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"Jane Doe, 1970"))
    nib.save(image, tmp_path / "a.nii")
    data = open_data(tmp_path / "a.nii")
    data.kind.write(data.decode(data.batch().x), tmp_path / "b.nii", data.schema)
    assert b"oe" in (tmp_path / "a.nii").read_bytes()
    assert b"oe" not in (tmp_path / "b.nii").read_bytes()


def test_volumes_of_two_orientations_share_a_model_and_come_back_on_their_own(tmp_path):
    folder = saved([*some(2), *some(2, affine=turned(spacing=(1.0, 1.0, 1.0)))], tmp_path / "in")
    data = open_data(folder)
    back = data.decode(data.batch().x)
    assert [v.orientation for v in back] == ["RAS", "RAS", "PSL", "PSL"]
    assert data.schema.field.axes[1].spacing == 1.0


def test_other_spacings_are_resampled_when_asked_and_come_back_on_their_own_grids(tmp_path):
    x = np.add.outer(np.add.outer(np.arange(8.0), np.arange(8.0)), np.arange(8.0)).astype(np.float32)
    folder = saved([Volume(x), Volume(x, np.diag([2.0, 2.0, 2.0, 1.0])), Volume(x)], tmp_path / "in")
    with pytest.raises(InputError, match=r"one spacing.*spacing=1x1x1"):
        open_data(folder)
    data = open_data(folder, options={"spacing": 2, "patch": 3})
    assert any("2 of 3 volumes are resampled to 2x2x2 mm, linear" in r for r in data.schema.reasons)
    back = data.decode(data.batch().x)
    assert [v.values.shape for v in back] == [(8, 8, 8)] * 3
    assert np.allclose(back[1].values, x, atol=1e-5)
    assert np.allclose(back[0].values[:7, :7, :7], x[:7, :7, :7], atol=1e-4)


# --- patients -------------------------------------------------------------------------------------------------------
def test_all_patches_of_a_patient_are_in_one_part(tmp_path):
    names = [f"sub-{p}_{t}.nii.gz" for p in "abcde" for t in "12"]
    data = open_data(saved(some(10), tmp_path / "in", names), options={"patch": 3})
    parts = data.split_indices()
    owners = {part: set(data.rows.groups[rows].tolist()) for part, rows in parts.items()}
    assert data.schema.split.by == "groups"
    assert all(owners.values())
    assert not owners["train"] & owners["test"]
    assert not owners["train"] & owners["validation"]
    assert len(set(data.rows.groups.tolist())) == 5


def test_a_patient_in_two_parts_is_refused():
    from senzai.data.split import refuse_leaks

    data = open_data(some(4), kind="volume", options={"patch": 3})
    parts = {"train": np.array([0, 1]), "validation": np.array([2]), "test": np.array([], dtype=int)}
    with pytest.raises(InputError, match="must not share a group of 'file'"):
        refuse_leaks(parts, data.schema.split, data.rows.groups)


@pytest.mark.parametrize(("rule", "n"), [("file", 4), ("folder", 2), ("([ab])-", 2)])
def test_patients_by_file_folder_or_pattern(tmp_path, rule, n):
    names = ["x/a-1.nii", "x/b-1.nii", "y/a-2.nii", "y/b-2.nii"]
    for sub in "xy":
        (tmp_path / sub).mkdir()
    data = open_data(saved(some(4), tmp_path, names), options={"patient": rule, "validation": 0, "test": 0})
    assert len(set(data.rows.groups.tolist())) == n


def test_a_pattern_that_misses_a_file_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"not in '1\.nii\.gz'"):
        open_data(saved(some(2), tmp_path / "in"), options={"patient": "^(0)"})


def test_one_volume_trains_only_when_nothing_is_held_out(tmp_path):
    folder = saved(some(1), tmp_path / "in")
    with pytest.raises(InputError, match="at least 3 groups"):
        senzai.fit(folder, steps=1)


# --- files that are not what they should be ---------------------------------------------------------------------------
def test_four_axes_are_refused_until_somebody_says_what_the_fourth_is(tmp_path):
    image = nib.Nifti1Image(np.random.default_rng(0).normal(size=(5, 4, 3, 6)).astype(np.float32), np.eye(4))
    nib.save(image, tmp_path / "a.nii.gz")
    with pytest.raises(InputError, match=r"has four, .*frames=each"):
        open_data(tmp_path / "a.nii.gz")
    data = open_data(tmp_path / "a.nii.gz", options={"frames": "each"})
    assert len(data.source.given) == 6
    assert set(data.rows.groups.tolist()) == {0}


def test_a_header_that_announces_too_much_is_refused_before_memory_is_taken(tmp_path):
    nib.save(nib.Nifti1Image(np.zeros((4, 4, 4), np.int16), np.eye(4)), tmp_path / "a.nii")
    raw = bytearray((tmp_path / "a.nii").read_bytes())
    raw[40:56] = struct.pack("<8h", 3, 30000, 30000, 30000, 1, 1, 1, 1)
    with gzip.open(tmp_path / "bomb.nii.gz", "wb") as file:
        file.write(raw)
    with pytest.raises(InputError, match="announces 30000 x 30000 x 30000 voxels"):
        open_data(tmp_path / "bomb.nii.gz")


def test_damaged_and_foreign_files_are_named(tmp_path):
    (tmp_path / "a.nii.gz").write_bytes(b"not gzip at all")
    with pytest.raises(InputError, match=r"a\.nii\.gz"):
        open_data(tmp_path / "a.nii.gz")
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "x.hdr").write_bytes(b"")
    with pytest.raises(InputError, match=r"x\.hdr"):
        open_data(tmp_path / "empty", kind="volume")


@pytest.mark.parametrize(("name", "head"), [
    ("a.mha", b"NDims = 3\nDimSize = 2 2 2\nElementType = MET_UCHAR\nElementDataFile = /etc/passwd\n"),
    ("a.nrrd", b"NRRD0004\ntype: uint8\ndimension: 3\nsizes: 2 2 2\nencoding: raw\ndata file: /etc/passwd\n\n"),
])
def test_headers_that_name_other_files_are_refused(tmp_path, name, head):
    (tmp_path / name).write_bytes(head)
    with pytest.raises(InputError, match="names another file"):
        open_data(tmp_path / name)


def test_nifti_beside_dicom_is_refused(tmp_path):
    folder = saved(some(1), tmp_path / "in")
    (folder / "b.dcm").write_bytes(bytes(128) + b"DICM")
    with pytest.raises(InputError, match="has both"):
        open_data(folder, kind="volume")


@pytest.mark.parametrize(("option", "value"), [("patch", 1), ("patch", "2x3"), ("spacing", -1), ("patient", "(a)(b)")])
def test_options_that_make_no_sense_are_refused(option, value):
    with pytest.raises(SettingError, match=option):
        open_data(some(), kind="volume", options={option: value})


def test_a_patch_larger_than_a_volume_is_refused():
    with pytest.raises(InputError, match="patch=9x9x9 is larger"):
        open_data(some(), kind="volume", options={"patch": 9})


def test_volumes_without_a_finite_value_and_affines_without_space_are_refused():
    with pytest.raises(InputError, match="finite values"):
        open_data([Volume(np.full((4, 4, 4), np.nan, np.float32))] * 3, kind="volume")
    with pytest.raises(InputError, match="span space"):
        open_data([Volume(np.zeros((4, 4, 4), np.float32), np.zeros((4, 4)))] * 3, kind="volume")


# --- a model --------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = saved(some(5, size=(10, 9, 8), affine=turned()), tmp_path_factory.mktemp("volumes") / "in")
    run = senzai.fit(folder, patch=8, steps=3, n_latent=2, width=2, sampler="none", progress=False)
    return run, folder


def test_volumes_are_found_fitted_sampled_and_reconstructed_where_they_lay(trained, tmp_path):
    run, folder = trained
    assert detect_kind(folder) == "volume"
    assert any("research" in r for r in run.schema.reasons)
    new = run.sample(2, seed=0)
    assert new.shape == (2, 8, 8, 8)
    assert np.allclose(new[0].spacing, (3.0, 2.0, 1.0))
    again = run.reconstruct(folder)
    run.kind.write(again, tmp_path / "again", run.schema)
    for a, b in zip(sorted(folder.iterdir()), sorted((tmp_path / "again").iterdir()), strict=True):
        one, other = nib.load(a), nib.load(b)
        assert one.shape == other.shape
        assert (one.affine == other.affine).all()


def test_scores_are_of_patches_and_maps_of_whole_volumes(trained):
    run, folder = trained
    assert len(run.score(folder, method="elbo")) == len(run.dataset(folder))
    maps = run.score_map(folder, steps=3)
    assert maps.shape == (5, 10, 9, 8)
    assert all((m.values >= 0).all() for m in maps)
    assert np.array_equal(maps[0].affine, nib.load(sorted(folder.iterdir())[0]).affine)


def test_a_report_has_slices_to_scroll(trained, tmp_path):
    run, folder = trained
    page = run.report(tmp_path / "r.html", data=folder).read_text()
    assert 'class="slices"' in page
    assert "slice 8 of 8" in page
    assert "voxels of 3 × 2 × 1 mm" in page


def test_volumes_go_through_json(trained):
    run, _ = trained
    new = run.sample(1, seed=0)
    again = run.kind.from_json(run.kind.to_json(new, run.schema), run.schema)
    assert np.array_equal(again[0].values, new[0].values)
    assert np.array_equal(again[0].affine, new[0].affine)
    with pytest.raises(InputError, match="come as"):
        run.kind.from_json([{"affine": 1}], run.schema)


def test_networks_take_any_size():
    from senzai.nn import VolumeDecoder, VolumeEncoder

    batch = SMALL["volumes"].rows(3, event=(2, 9, 6, 5))
    h = VolumeEncoder((2, 9, 6, 5), width=4)(batch)
    assert h.shape == (3, 256)
    assert VolumeDecoder(3, (1, 2, 9, 6, 5), width=4)(h[:, :3]).shape == (3, 1, 2, 9, 6, 5)
    with pytest.raises(SettingError, match="three dimensions"):
        VolumeEncoder((2, 9, 6))


