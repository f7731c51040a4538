"""DICOM: units, windows, what is bright, where slices lie, whose they are, and files that are not whole."""

from __future__ import annotations

import numpy as np
import pytest

import senzai
from senzai.core.errors import InputError, SettingError
from senzai.data import detect_kind, dicom, dicom_series, dicom_writing, open_data

pydicom = pytest.importorskip("pydicom")
SAMPLES = ("0.dcm", "1.dcm", "CT_small.dcm", "MR_small.dcm", "examples_rgb_color.dcm")
ROW, COLUMN = (0.0, 1.0, 0.0), (0.0, 0.0, -1.0)  # a sagittal slice


def made(path, stored, *, patient="P1", series="1.2.3", at=0.0, slope=None, photometric="MONOCHROME2", **more):
    """Write a file as a scanner would."""
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    ds = pydicom.Dataset()
    ds.file_meta = pydicom.dataset.FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = generate_uid()
    ds.PatientName, ds.PatientID, ds.PatientBirthDate = "Doe^Jane", patient, "19700101"
    ds.InstitutionName, ds.SeriesInstanceUID, ds.Modality = "Saint Nowhere", series, more.pop("modality", "CT")
    ds.PixelSpacing, ds.SliceThickness = [0.5, 0.25], 2.0
    ds.ImageOrientationPatient = [*more.pop("row", ROW), *more.pop("column", COLUMN)]
    ds.ImagePositionPatient = [at, 10.0, 20.0]
    if slope is not None:
        ds.RescaleSlope, ds.RescaleIntercept = slope
    for name, value in more.items():
        setattr(ds, name, value)
    stored = np.asarray(stored, np.uint16)
    frames = stored.shape[0] if stored.ndim == 3 else 1
    ds.Rows, ds.Columns = stored.shape[-2:]
    if frames > 1:
        ds.NumberOfFrames = frames
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, photometric
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.PixelData = stored.tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    ds.save_as(path, enforce_file_format=True)
    return path


def pixels(seed=0, shape=(6, 4)):
    return np.random.default_rng(seed).integers(0, 4096, shape)


def series(folder, places, **more):
    for i, at in enumerate(places):
        made(folder / f"{(7 * i) % len(places)}_{i}.dcm", pixels(i), at=at, **more)
    return folder


# --- values ---------------------------------------------------------------------------------------------------------
def test_values_are_in_the_units_of_the_file(tmp_path):
    stored = pixels()
    data = open_data(made(tmp_path / "a.dcm", stored, slope=(2.0, -1024.0)))
    assert data.schema.values == "real"
    assert any("Hounsfield" in r for r in data.schema.reasons)
    assert np.array_equal(data.decode(data.batch().x)[0], 2.0 * stored - 1024.0)


def test_monochrome1_is_turned_round_where_values_have_no_units(tmp_path):
    stored = pixels()
    plain = open_data(made(tmp_path / "a.dcm", stored, photometric="MONOCHROME1"))
    assert np.array_equal(plain.decode(plain.batch().x)[0], 4095 - stored)
    assert any("MONOCHROME1" in r for r in plain.schema.reasons)
    units = open_data(made(tmp_path / "b.dcm", stored, photometric="MONOCHROME1", slope=(1.0, -1024.0)))
    assert np.array_equal(units.decode(units.batch().x)[0], stored - 1024.0)


@pytest.mark.parametrize("window", ["40,400", "file"])
def test_windows_agree_with_pydicom(tmp_path, window):
    stored = np.tile(np.arange(0, 4096, 170)[:24].reshape(6, 4), 1)
    path = made(tmp_path / "a.dcm", stored, slope=(1.0, -1024.0), WindowCenter=40, WindowWidth=400)
    data = open_data(path, options={"window": window})
    from pydicom.pixels import apply_windowing

    ds = pydicom.dcmread(path)
    ds.WindowCenter, ds.WindowWidth = 40, 400
    theirs = apply_windowing(stored - 1024.0, ds)
    low, high = -1024.0, 4095 - 1024.0
    assert data.schema.n_levels == 256
    assert np.abs(data.decode(data.batch().x)[0] - 255 * (theirs - low) / (high - low)).max() <= 0.51


def test_a_window_that_is_none_is_refused(tmp_path):
    path = made(tmp_path / "a.dcm", pixels())
    with pytest.raises(SettingError, match="window"):
        open_data(path, options={"window": "wide"})
    with pytest.raises(InputError, match=r"a\.dcm' has none"):
        open_data(path, options={"window": "file"})


def test_every_frame_of_a_file_is_a_row(tmp_path):
    stored = pixels(shape=(3, 6, 4))
    data = open_data(made(tmp_path / "a.dcm", stored))
    assert len(data) == 3
    assert np.array_equal(data.decode(data.batch().x), stored)


# --- there and back -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", SAMPLES)
def test_samples_come_back_with_units_window_and_place(data_dir, tmp_path, name):
    data = open_data(data_dir / "medical_samples" / name)
    data.kind.write(data.decode(data.batch().x), tmp_path / "out", data.schema)
    again = open_data(tmp_path / "out")
    assert np.array_equal(data.decode(data.batch().x), again.decode(again.batch().x))
    first, other = (d.rows.about(np.array([0])) for d in (data, again))
    assert first["plane"][0] == other["plane"][0]
    kept = ("slope", "intercept", "units", "signed", "turned", "window", "modality")
    assert {k: first["storing"][0][k] for k in kept} == {k: other["storing"][0][k] for k in kept}


def test_what_says_whose_it_is_is_not_written(tmp_path):
    source = made(tmp_path / "a.dcm", pixels(), PatientAddress="1 Elm Street", StudyDate="20200101")
    data = open_data(source)
    data.kind.write(data.decode(data.batch().x), tmp_path / "b.dcm", data.schema)
    raw = (tmp_path / "b.dcm").read_bytes()
    assert not any(word in raw for word in (b"Doe", b"P1", b"1970", b"Nowhere", b"Elm", b"20200101", b"1.2.3\0"))
    written = pydicom.dcmread(tmp_path / "b.dcm")
    assert written.PatientIdentityRemoved == "YES"
    assert "not for diagnosis" in written.DerivationDescription
    assert list(written.PixelSpacing) == [0.5, 0.25]
    assert list(written.ImagePositionPatient) == [0.0, 10.0, 20.0]


@pytest.mark.parametrize(("more", "warned"), [
    ({"modality": "US"}, True), ({"modality": "US", "BurnedInAnnotation": "NO"}, False), ({}, False),
    ({"BurnedInAnnotation": "YES"}, True),
])
def test_text_in_the_picture_is_warned_of(tmp_path, more, warned):
    data = open_data(made(tmp_path / "a.dcm", pixels(), **more))
    assert any("WARNING" in r and "text" in r for r in data.schema.reasons) is warned


def test_resized_slices_lie_where_they_lay(tmp_path):
    ramp = np.add.outer(10 * np.arange(8), 3 * np.arange(12))
    data = open_data(made(tmp_path / "a.dcm", ramp), options={"size": "4x4"})
    (plane,) = data.rows.about(np.array([0]))["plane"]
    assert plane["spacing"] == (1.0, 0.5)
    # the middle of the first new pixel is that of four old ones: rows 0 and 1, columns 2 and 3
    offset = np.array(plane["position"]) - np.array([0.0, 10.0, 20.0])
    assert np.allclose(offset, 0.5 * 0.5 * np.array(COLUMN) + 2.5 * 0.25 * np.array(ROW))
    assert abs(float(data.decode(data.batch().x)[0, 1, 1]) - (10 * 2.5 + 3 * 4.5)) <= 3.5  # antialiased, whole numbers


def test_the_shortest_text_of_a_number_keeps_what_fits():
    assert dicom_writing._short(0.661468) == "0.661468"
    assert len(dicom_writing._short(1 / 3)) <= 16
    assert float(dicom_writing._short(-1.23456789012345e-300)) == pytest.approx(-1.23456789012345e-300)


# --- patients -------------------------------------------------------------------------------------------------------
def test_pictures_of_a_patient_stay_together(tmp_path):
    for p in range(5):
        for i in range(3):
            made(tmp_path / f"{p}{i}.dcm", pixels(3 * p + i), patient=f"P{p}", series=f"1.{p}.{i + 1}")
    data = open_data(tmp_path)
    parts = data.split_indices()
    owners = [set(data.rows.groups[rows].tolist()) for rows in parts.values()]
    assert data.schema.split.column == "patient"
    assert sum(map(len, owners)) == 5
    assert all(owners)


# --- series ---------------------------------------------------------------------------------------------------------
def test_a_series_is_a_volume_in_the_order_of_its_places(tmp_path):
    folder = series(tmp_path / "s", [4.0, 0.0, 2.0, 6.0])
    (found,) = dicom_series.read_series(dicom.find(folder))
    assert found.values.shape == (4, 6, 4)
    along = [int(i) for i in np.argsort([-4.0, 0.0, -2.0, -6.0])]  # the normal of these slices points to lower x
    for z, i in enumerate(along):
        assert np.array_equal(found.values[:, :, z].T, pixels(i))
    place = found.affine @ [1, 2, 3, 1]  # column 1, row 2 of the last slice
    normal = np.cross(ROW, COLUMN)
    origin = np.array([0.0 if normal[0] > 0 else 6.0, 10.0, 20.0])
    wanted = origin + 0.25 * np.array(ROW) + 2 * 0.5 * np.array(COLUMN) + 3 * 2.0 * normal
    assert np.allclose(place[:3], wanted)


def test_a_series_agrees_with_simpleitk(tmp_path):
    sitk = pytest.importorskip("SimpleITK")
    folder = series(tmp_path / "s", [0.0, 2.0, 4.0, 6.0, 8.0], slope=(1.0, -1000.0))
    (found,) = dicom_series.read_series(dicom.find(folder))
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    image = reader.Execute()
    assert np.array_equal(sitk.GetArrayFromImage(image).transpose(2, 1, 0), found.values)
    at = np.array([float(v) for v in image.TransformIndexToPhysicalPoint((1, 2, 3))])
    assert np.allclose(at, (found.affine @ [1, 2, 3, 1])[:3], atol=1e-4)


def test_a_folder_of_slices_is_pictures_unless_volumes_are_asked_for(tmp_path):
    folder = series(tmp_path / "s", [0.0, 2.0, 4.0, 6.0])
    assert detect_kind(folder) == "images"
    assert any("volume" in r for r in open_data(folder).schema.reasons)
    volume = open_data(folder, kind="volume")
    assert volume.source.given[0].spacing == pytest.approx((0.25, 0.5, 2.0))


@pytest.mark.parametrize(("places", "more", "said"), [
    ([0.0, 2.0, 4.0, 10.0], {}, "about 2 slices are missing"), ([0.0, 2.0, 2.0, 4.0], {}, "some twice"),
])
def test_missing_and_doubled_slices_are_refused(tmp_path, places, more, said):
    with pytest.raises(InputError, match=said):
        open_data(series(tmp_path / "s", places, **more), kind="volume")


def test_two_orientations_and_two_sizes_in_a_series_are_refused(tmp_path):
    folder = series(tmp_path / "a", [0.0, 2.0])
    made(folder / "other.dcm", pixels(), row=(1.0, 0.0, 0.0), column=(0.0, 1.0, 0.0))
    with pytest.raises(InputError, match="2 orientations"):
        open_data(folder, kind="volume")
    folder = series(tmp_path / "b", [0.0, 2.0])
    made(folder / "other.dcm", pixels(shape=(5, 5)), at=4.0)
    with pytest.raises(InputError, match="one size"):
        open_data(folder, kind="volume")


# --- files that are not what they should be ---------------------------------------------------------------------------
def test_dicom_beside_pictures_is_refused(tmp_path):
    from PIL import Image

    made(tmp_path / "a.dcm", pixels())
    Image.fromarray(np.zeros((6, 4), np.uint8)).save(tmp_path / "b.png")
    with pytest.raises(InputError, match="has both"):
        open_data(tmp_path)


def test_files_without_pictures_are_named_or_left_out(data_dir, tmp_path):
    ecg = data_dir / "medical_samples" / "waveform_ecg.dcm"
    with pytest.raises(InputError, match="ECG"):
        open_data(ecg)
    (tmp_path / "ecg.dcm").symlink_to(ecg)
    made(tmp_path / "a.dcm", pixels())
    data = open_data(tmp_path, options={"skip_bad": True})
    assert len(data) == 1
    assert any("1 files could not be read" in r for r in data.schema.reasons)


def test_more_than_memory_and_deflated_files_are_refused_before_they_are_unpacked(tmp_path):
    path = made(tmp_path / "a.dcm", pixels(), NumberOfFrames=10**9)
    with pytest.raises(InputError, match="announces 1000000000 frames"):
        open_data(path)
    ds = pydicom.dcmread(made(tmp_path / "b.dcm", pixels()))
    ds.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1.99"
    ds.save_as(tmp_path / "c.dcm", enforce_file_format=True)
    with pytest.raises(InputError, match="could be a bomb"):
        open_data(tmp_path / "c.dcm")


def test_damaged_files_and_unequal_sizes_are_named(tmp_path):
    whole = made(tmp_path / "a.dcm", pixels()).read_bytes()
    (tmp_path / "a.dcm").write_bytes(whole[:-20])
    with pytest.raises(InputError, match=r"a\.dcm"):
        open_data(tmp_path / "a.dcm")
    made(tmp_path / "two" / "a.dcm", pixels())
    made(tmp_path / "two" / "b.dcm", pixels(shape=(5, 5)))
    with pytest.raises(InputError, match="size=64"):
        open_data(tmp_path / "two")


def test_compressed_pixels_are_read(tmp_path):
    pytest.importorskip("openjpeg")
    from pydicom.uid import JPEG2000Lossless

    stored = pixels(shape=(32, 32))
    ds = pydicom.dcmread(made(tmp_path / "a.dcm", stored))
    ds.compress(JPEG2000Lossless)
    ds.save_as(tmp_path / "b.dcm", enforce_file_format=True)
    data = open_data(tmp_path / "b.dcm")
    assert np.array_equal(data.decode(data.batch().x)[0], stored)


def test_new_pictures_are_written_with_the_units_of_the_old_ones(tmp_path):
    for p in range(6):
        made(tmp_path / "in" / f"{p}.dcm", pixels(p, (16, 16)), patient=f"P{p}", slope=(1.0, -1024.0))
    run = senzai.fit(tmp_path / "in", steps=2, n_latent=2, width=4, sampler="none", progress=False)
    new = run.sample(2, seed=0)
    run.kind.write(new, tmp_path / "new", run.schema)
    again = open_data(tmp_path / "new")
    assert again.schema.event_shape == (1, 16, 16)
    assert np.abs(again.decode(again.batch().x) - np.clip(new, -1024, 3071)).max() <= 0.5
    rebuilt = run.reconstruct(tmp_path / "in")
    run.kind.write(rebuilt, tmp_path / "again", run.schema)
    assert pydicom.dcmread(tmp_path / "again" / "000000.dcm").PixelSpacing == [0.5, 0.25]
