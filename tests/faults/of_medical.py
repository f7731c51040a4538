"""Faults in medical pictures and volumes: place, units, patients, names, patches, restorations; and diffusers."""

from __future__ import annotations

from .plants import MODELS, SCHEMA, VERBS, Fault, edit

VOLUMES = "tests/data/test_volumes.py::"
DICOM = "tests/data/test_dicom.py::"
REFINED = "tests/models/test_refining.py::"
FRIENDS = "tests/nn/test_autoencoder_kl.py::"
MEMBERS = "tests/evaluation/test_membership.py::"
COMPLEXITY = "tests/evaluation/test_complexity.py::"

LIST = (
    Fault(
        "patches with the class of another volume", SCHEMA,
        edit("data.volume.kind:VolumeKind.read", "given.labels[cut", "given.labels[::-1][cut"),
        (f"{VOLUMES}test_folders_of_several_patients_are_classes_of_all_their_patches",
         f"{VOLUMES}test_arrays_of_volumes_come_with_labels"),
    ),
    Fault(
        "patients who pass for classes", SCHEMA,
        edit("data.volume.reading:_labels", "== 1 for name", "== 0 for name"),
        (f"{VOLUMES}test_folders_of_one_patient_each_are_no_classes",),
    ),
    Fault(
        "a likelihood that is not set against the length of the picture", VERBS,
        edit("evaluation.scores:_one", "drawn.nll - known.lengths", "drawn.nll + 0 * known.lengths"),
        (f"{COMPLEXITY}test_the_score_is_the_likelihood_against_the_length",
         f"{COMPLEXITY}test_what_is_smoother_than_all_that_was_learned_does_not_pass_for_normal"),
    ),
    Fault(
        "lengths in bits beside a likelihood in nats", VERBS,
        edit("data.images.coding:lengths", "8 * log(2) *", "8 *"),
        (f"{COMPLEXITY}test_lengths_are_those_of_the_files",),
    ),
    Fault(
        "what stands in a hole is coded", VERBS,
        edit("evaluation.evidence:Evidence.lengths", "if seen is None else", "if True else"),
        (f"{COMPLEXITY}test_what_stands_in_a_hole_is_not_coded",),
    ),
    Fault(
        "a score joined that a kept reference does not have", VERBS,
        edit("evaluation.scores:Reference.of", "coder if CODED in held else None", "coder"),
        (f"{COMPLEXITY}test_a_reference_of_earlier_runs_has_five_members_as_before",),
    ),
    Fault(
        "a mirrored axis whose origin stays", SCHEMA,
        edit("data.volume.volume:upright", "(volume.values.shape[axis] - 1)", "volume.values.shape[axis]"),
        (f"{VOLUMES}test_upright_is_what_nibabel_calls_canonical_and_goes_back_exactly",),
    ),
    Fault(
        "a volume that is mirrored and not mirrored back", SCHEMA,
        edit("data.volume.volume:turned_back", "values.transpose(order)[flips]", "values.transpose(order)"),
        (f"{VOLUMES}test_upright_is_what_nibabel_calls_canonical_and_goes_back_exactly",
         f"{VOLUMES}test_rows_there_and_back_are_the_volumes_that_came[affine1]"),
    ),
    Fault(
        "a grid resampled the wrong way round", SCHEMA,
        edit("data.volume.volume:on_grid", "np.linalg.solve(volume.affine, affine)",
             "np.linalg.solve(affine, volume.affine)"),
        (f"{VOLUMES}test_resampling_is_linear_exact_on_planes_and_keeps_the_first_place",),
    ),
    Fault(
        "an end of an axis that no patch covers", SCHEMA,
        edit("data.patching:starts_of", "[*range(0, last, stride), last]", "[*range(0, last + 1, stride)]"),
        (f"{VOLUMES}test_patches_cover_everything_and_blend_back_to_the_whole",),
    ),
    Fault(
        "patches that all say they lie where the volume begins", SCHEMA,
        edit("data.volume.patches:Patched._affine", "np.array([x, y, z, 1.0])", "np.array([0, 0, 0, 1.0])"),
        (f"{VOLUMES}test_a_patch_alone_knows_where_it_lies",),
    ),
    Fault(
        "weights that are not those that were summed", SCHEMA,
        edit("data.patching:blended", "heavy[at] += weight", "heavy[at] += 1"),
        (f"{VOLUMES}test_patches_cover_everything_and_blend_back_to_the_whole",),
    ),
    Fault(
        "a NIfTI whose qform is left behind", SCHEMA,
        edit("data.volume.files:_put_back", "if name in grid:", "if name in grid and name[:1] != 'q':"),
        (f"{VOLUMES}test_real_headers_come_back_to_the_last_bit",),
    ),
    Fault(
        "patches of a patient one by one", SCHEMA,
        edit("data.volume.kind:VolumeKind.infer", '"by": "groups"', '"by": "rows"'),
        (f"{VOLUMES}test_all_patches_of_a_patient_are_in_one_part",),
    ),
    Fault(
        "a header with another file's name that is followed", SCHEMA,
        edit("data.volume.files:_need_attached", 'b"local"', 'b"/etc/passwd"'),
        (f"{VOLUMES}test_headers_that_name_other_files_are_refused",),
    ),
    Fault(
        "an intercept that is forgotten", SCHEMA,
        edit("data.dicom:in_units", ' + storing["intercept"]', ""),
        (f"{DICOM}test_values_are_in_the_units_of_the_file", f"{DICOM}test_a_series_agrees_with_simpleitk"),
    ),
    Fault(
        "a window half a level off", SCHEMA,
        edit("data.dicom:windowed", "(centre - 0.5)", "(centre + 2.0)"),
        (f"{DICOM}test_windows_agree_with_pydicom",),
    ),
    Fault(
        "MONOCHROME1 that stays dark", SCHEMA,
        edit("data.dicom:_storing", '== "MONOCHROME1"', '== "MONOCHROME3"'),
        (f"{DICOM}test_monochrome1_is_turned_round_where_values_have_no_units",),
    ),
    Fault(
        "a patient's number on what is written", SCHEMA,
        edit("data.dicom_writing:write", 'made.PatientID, made.PatientIdentityRemoved = "", "", "YES"',
             'made.PatientID, made.PatientIdentityRemoved = "", "P1", "YES"'),
        (f"{DICOM}test_what_says_whose_it_is_is_not_written",),
    ),
    Fault(
        "slices in the order of their files", SCHEMA,
        edit("data.dicom_series:_stacked", 'np.argsort(places, kind="stable")', "np.arange(len(places))"),
        (f"{DICOM}test_a_series_is_a_volume_in_the_order_of_its_places",),
    ),
    Fault(
        "gaps between slices that nobody sees", SCHEMA,
        edit("data.dicom_series:_step", "> UNIFORM * usual", "> 100 * usual"),
        (f"{DICOM}test_missing_and_doubled_slices_are_refused",),
    ),
    Fault(
        "rows and columns exchanged in space", SCHEMA,
        edit("data.dicom_series:_stacked", "row * across, column * down", "column * down, row * across"),
        (f"{DICOM}test_a_series_agrees_with_simpleitk", f"{DICOM}test_a_series_is_a_volume_in_the_order_of_its_places"),
    ),
    Fault(
        "pictures of a patient one by one", SCHEMA,
        edit("data.images.kind:ImageKind.infer", '"by": "groups", "column": "patient"', '"by": "rows"'),
        (f"{DICOM}test_pictures_of_a_patient_stay_together",),
    ),
    Fault(
        "a restoration that looks at what does not fit", MODELS,
        edit("models.refining:restored", "(far <= limit)", "(far >= limit)"),
        (f"{REFINED}test_an_anomaly_does_not_pull_its_own_restoration",),
    ),
    Fault(
        "what was seen drawn anew", VERBS,
        edit("runs.verbs.painting:painted", "torch.where(seen, batch.tensor.to(drawn.dtype), drawn)", "drawn + 0"),
        (f"{REFINED}test_every_second_pixel_makes_a_picture_twice_as_large",),
    ),
    Fault(
        "holes where nothing is missing", SCHEMA,
        edit("data.images.holes:of", "flat[:, top:bottom, left:right]", "flat[:, left:right, top:bottom]"),
        (f"{REFINED}test_boxes_are_rows_then_columns",),
    ),
    Fault(
        "log variances that are log scales", MODELS,
        edit("parts.posteriors.kl_maps:KLMapPosterior.forward", "(0.5 * log_variance", "(1.0 * log_variance"),
        (f"{FRIENDS}test_a_folder_of_diffusers_gives_the_same_numbers_here",),
    ),
    Fault(
        "an edge on the other side", MODELS,
        edit("nn.autoencoder_kl:Halve.forward", "(0, 1, 0, 1)", "(1, 0, 1, 0)"),
        (f"{FRIENDS}test_a_folder_of_diffusers_gives_the_same_numbers_here",),
    ),
    Fault(
        "an attack whose members score lower", VERBS,
        edit("evaluation.membership:attack", "ranks.sum() - n * (n + 1) / 2", "n * m - ranks.sum() + n * (n + 1) / 2"),
        (f"{MEMBERS}test_the_area_is_that_of_scikit_learn_and_the_interval_that_of_scipy",),
    ),
)
