"""Faults in what keeps hostile and strange input out: limits, paths, terminals, masks, pictures."""

from __future__ import annotations

from .plants import SCHEMA, VERBS, Fault, edit

LIMITS = "tests/data/test_limits.py::"
MASKS = "tests/data/test_masks.py::"
PICTURES = "tests/data/test_pictures.py::"
HOSTILE = "tests/apps/test_hostile.py::"
UPRIGHT = f"{PICTURES}test_every_picture_is_upright_whatever_it_is_made_of"

LIST = (
    # --- pictures ----------------------------------------------------------------------------------------------------
    Fault(
        "a picture mirrored on one diagonal instead of the other", SCHEMA,
        edit("data.images.pictures:_upright", "T.TRANSPOSE, T", "T.TRANSVERSE, T", "T.TRANSVERSE,\n", "T.TRANSPOSE,\n"),
        (f"{UPRIGHT}[RGB-5]",),
    ),
    Fault(
        "a picture turned the wrong way", SCHEMA,
        edit("data.images.pictures:_upright", "T.ROTATE_90)",
             "T.ROTATE_0)", "T.ROTATE_270", "T.ROTATE_90", "E_0)", "E_270)"),
        (f"{UPRIGHT}[L-6]",),
    ),
    Fault(
        "a deep picture that is not turned", SCHEMA,
        edit("data.images.pictures:load", "turn = _orientation(image)",
             "turn = 1 if plan.deep else _orientation(image)"),
        (f"{UPRIGHT}[16 bits-3]",),
    ),
    Fault(
        "sixteen bits cut to their lower eight", SCHEMA,
        edit("data.images.pictures:_eight_bit", "(deep.astype(np.uint32) + 128) // 257",
             "deep.astype(np.uint32) & 255"),
        (f"{UPRIGHT}[16 bits to 8-1]",),
    ),
    Fault(
        "sixteen bits that are scaled to eight unasked", SCHEMA,
        edit("data.images.folder:plan_of", "deep = options.mode is None and", "deep = False and"),
        (f"{PICTURES}test_deep_greys_have_the_levels_they_use_and_come_back_exactly[4095-4096-False]",),
    ),
    Fault(
        "twelve bits taken for sixteen", SCHEMA,
        edit("data.values:_levels", "2 ** int(high).bit_length()", "2**16"),
        (f"{PICTURES}test_deep_greys_have_the_levels_they_use_and_come_back_exactly[4095-4096-False]",),
    ),
    Fault(
        "sixteen bits written as eight", SCHEMA,
        edit("data.writers:write_images", "(top > 255 or array.dtype == np.uint16) and", "False and"),
        (f"{PICTURES}test_deep_greys_have_the_levels_they_use_and_come_back_exactly[4095-4096-False]",),
    ),
    Fault(
        "numbers of a palette taken for its greys", SCHEMA,
        edit(
            "data.images.pictures:_flat", 'return image.convert("RGB") if image.mode in',
            'return Image.fromarray(np.asarray(image)) if image.mode in',
        ),
        (f"{UPRIGHT}[grey palette-1]",),
    ),
    Fault(
        "a transparent colour of a palette that is seen", SCHEMA,
        edit("data.images.pictures:_flat", ' or "transparency" in image.info', ""),
        (f"{UPRIGHT}[transparent palette-1]",),
    ),
    Fault(
        "a transparent grey of sixteen bits that is seen", SCHEMA,
        edit("data.images.pictures:_eight_bit", '"transparency" in image.info', "False"),
        (f"{UPRIGHT}[16 bits, transparent-1]",),
    ),
    Fault(
        "class folders behind links left out without a word", SCHEMA,
        edit("data.trees:find", "followlinks=True", "followlinks=False"),
        (f"{PICTURES}test_class_folders_behind_links_are_read",),
    ),
    Fault(
        "links that lead back to where they began followed once more", SCHEMA,
        edit("data.trees:find", "seen = {_identity(root)}", "seen = set()"),
        (f"{PICTURES}test_loops_of_links_end_and_are_said",),
    ),
    # --- masks -------------------------------------------------------------------------------------------------------
    Fault(
        "what lies under a mask taken for data", SCHEMA,
        edit("data.masks:filled", "wide[mask] = np.nan", "pass"),
        (f"{MASKS}test_masked_arrays_are_arrays_with_holes",),
    ),
    Fault(
        "masks of rows lost when they are stacked", SCHEMA,
        edit("data.masks:stacked", "any(isinstance(v, np.ma.MaskedArray) for v in items)", "False"),
        (f"{MASKS}test_rows_with_masks_in_a_list",),
    ),
    Fault(
        "masked labels taken for classes", SCHEMA,
        edit("data.labels:as_labels", "unmasked_labels(y)", "y"),
        (f"{MASKS}test_masked_labels_are_rows_without_a_label",),
    ),
    Fault(
        "a mask that excuses what it does not cover", SCHEMA,
        edit("data.masks:filled", "refuse_unusable(np.where(mask, 0, wide), missing=missing)", "pass"),
        (f"{MASKS}test_what_is_not_under_the_mask_must_still_be_finite",),
    ),
    # --- limits ------------------------------------------------------------------------------------------------------
    Fault(
        "devices read like files", SCHEMA,
        edit("data.limits:need_regular", "if stat.S_ISREG(mode):", "if True:"),
        (f"{LIMITS}test_a_device_is_not_read",),
    ),
    Fault(
        "announced sizes that no file can hold believed", SCHEMA,
        edit("data.limits:need_array", "if nbytes > held:", "if False:"),
        (f"{LIMITS}test_labels_and_lengths_of_an_archive_are_looked_at_as_well",),
    ),
    Fault(
        "free memory that nobody asks for", SCHEMA,
        edit("data.limits:need_room", "if nbytes > (free := free_memory()):", "if nbytes > (free := 10**15):"),
        (f"{LIMITS}test_archives_that_unpack_to_more_than_fits",),
    ),
    Fault(
        "text that was never written read to its end", SCHEMA,
        edit("data.limits:need_no_holes", "if hole < size:", "if False:"),
        (f"{LIMITS}test_a_short_text_with_a_place_that_was_never_written_is_not_read",),
    ),
    Fault(
        "an Arrow file that may point anywhere in memory", SCHEMA,
        edit("data.table.files:_frame", "table.validate(full=True)", "pass"),
        (f"{LIMITS}test_text_in_an_arrow_file_that_is_no_text_is_refused",),
    ),
    Fault(
        "a workbook read only as far as it says", SCHEMA,
        edit("data.table.files:_excel_rows", "page.reset_dimensions()", "pass"),
        (f"{LIMITS}test_a_workbook_that_is_wrong_about_its_size_is_read_whole",),
    ),
    # --- paths and terminals -----------------------------------------------------------------------------------------
    Fault(
        "a folder called ~", VERBS,
        edit("core.files:user_path", "Path(text).expanduser()", "Path(text)"),
        (f"{HOSTILE}test_a_tilde_is_the_home_of_the_user",),
    ),
    Fault(
        "zero bytes in paths", VERBS,
        edit("core.files:user_path", 'if "\\0" in text:', "if False:"),
        (f"{HOSTILE}test_paths_are_refused_in_python_too[zero byte]",),
    ),
    Fault(
        "escape sequences of data obeyed by the terminal", VERBS,
        edit("core.terminal:safe", "repr(found[0])[1:-1]", "found[0]"),
        (f"{HOSTILE}test_every_way_to_a_terminal_makes_text_safe",),
    ),
    Fault(
        "lines that a name in the data may begin", VERBS,
        edit("apps.cli.output:plain", '.replace("\\n", "\\\\n")', ""),
        (f"{HOSTILE}test_nothing_from_data_is_obeyed",),
    ),
)
