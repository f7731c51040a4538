"""Faults in pictures: how they are drawn, how decoders start, maps of codes, guidance, edits, families measured."""

from __future__ import annotations

from .plants import MODELS, PRIORS, SAMPLERS, SCHEMA, VERBS, Fault, edit

DRAWN = "tests/data/test_faces.py::"
NETS = "tests/nn/test_pictures.py::"
RUNS = "tests/runs/test_pictures.py::"
FAMILIES = "tests/runs/test_families.py::"

UNFOLDED = "tests/data/test_unfolding.py::"
IMAGES = "tests/data/test_images.py::"
READING = "tests/apps/test_reading.py::"
TILES = "tests/data/test_tiles.py::"

LIST = (
    Fault(
        "colours that become greys without a word", SCHEMA,
        edit("data.images.folder:planned", "return _converting(probes, plan, notes)", "return plan"),
        (f"{IMAGES}test_what_pictures_lose_in_a_grey_model_is_said",),
    ),
    Fault(
        "what other data lose is kept to itself", VERBS,
        edit("apps.cli.loading:read_for", "if said not in run.schema.reasons:", "if False:"),
        (f"{READING}test_what_other_data_lose_in_the_form_of_a_model_is_said_on_stderr",),
    ),
    Fault(
        "tiles of one picture in several parts", SCHEMA,
        edit("data.images.kind:_of_tiles", 'schema.split.by != "rows"', "True"),
        (f"{TILES}test_tiles_of_a_picture_are_in_one_part",),
    ),
    Fault(
        "tiles that are laid side by side with seams", SCHEMA,
        edit("data.images.tiles:Tiled.whole", "weights_of((self.plan.height, self.plan.width))",
             "weights_of((self.plan.height, self.plan.width)) ** 0"),
        (f"{TILES}test_seams_are_blended",),
    ),
    Fault(
        "tiles with rows and columns exchanged", SCHEMA,
        edit("data.images.tiles:Tiled.fetch", "(i, top, left)", "(i, left, top)"),
        (f"{TILES}test_tiles_cover_everything_and_come_back_as_they_were",),
    ),
    Fault(
        "archives that write where they like", SCHEMA,
        edit("data.images.unfolding:_Sink.place", 'or ".." in pure.parts', ""),
        (f"{UNFOLDED}test_names_that_lead_outside_are_refused",),
    ),
    Fault(
        "archives that fill the disk", SCHEMA,
        edit("data.images.unfolding:_Sink._count", "self.room -= nbytes", "pass"),
        (f"{UNFOLDED}test_a_bomb_is_refused_before_it_fills_the_disk",),
    ),
    Fault(
        "only the first page of a stack", SCHEMA,
        edit("data.images.unfolding:_from_stack", "image.seek(i)", "image.seek(0)"),
        (f"{UNFOLDED}test_pages_of_a_stack_are_rows_in_time",),
    ),
    Fault(
        "frames that are dealt into parts at random", SCHEMA,
        edit("data.images.kind:ImageKind.infer", 'opened.order is not None and schema.split.by == "rows"', "False"),
        (f"{UNFOLDED}test_frames_of_a_film",),
    ),
    Fault(
        "classes of a table of pictures that are those of other rows", SCHEMA,
        edit("data.images.encoded:write", "found[label][i]", "found[label][0]"),
        (f"{UNFOLDED}test_parquet_with_pictures_keeps_the_order_of_rows_and_the_names_of_classes",),
    ),
    Fault(
        "faces that depend on what else is drawn", SCHEMA,
        edit("data.faces:factors_of", "(TAG, number)", "(TAG, len(numbers))"),
        (f"{DRAWN}test_a_face_is_known_by_its_number_whatever_else_is_drawn",),
    ),
    Fault(
        "light from the other side", SCHEMA,
        edit("data.face_drawing:_lit", "1 + 0.13 * light", "1 - 0.13 * light"),
        (f"{DRAWN}test_brightness_follows_the_light",),
    ),
    Fault(
        "a smile that is called a frown", SCHEMA,
        edit("data.faces:labels_of", '("frowning", "neutral", "smiling")', '("smiling", "neutral", "frowning")'),
        (f"{DRAWN}test_labels_are_the_names_of_values",),
    ),
    Fault(
        "faces without smooth edges", SCHEMA,
        edit("data.face_pen:Pen.picture", "self.sheet.reduce(FINER)", "self.sheet.resize((self.size, self.size), 0)"),
        (f"{DRAWN}test_the_same_face_at_any_size[16]", f"{DRAWN}test_the_same_face_at_any_size[32]"),
    ),
    Fault(
        "the label that was asked for left aside", SCHEMA,
        edit("data.sources:_labelled", "y=raw.marks[str(label)]", "y=raw.y"),
        (f"{DRAWN}test_built_in_faces_go_through_the_door",),
    ),
    Fault(
        "pixels of a block that start on their own", MODELS,
        edit("nn.conv:smooth_start", "first.repeat_interleave(block**2, 0)", "torch.randn_like(out.weight)"),
        (f"{NETS}test_no_grid_is_drawn_over_pictures_at_the_start[conv]",),
    ),
    Fault(
        "blocks of one pixel in a row of channels", MODELS,
        edit("nn.conv:smooth_start", "first.repeat_interleave(block**2, 0)", "first.repeat(block**2, 1, 1, 1)"),
        (f"{NETS}test_pixels_of_a_block_start_alike_and_near_to_nothing[conv]",),
    ),
    Fault(
        "decoders that start as loud as the data", MODELS,
        edit("nn.conv:smooth_start", "SPREAD_AT_START * ", ""),
        (f"{NETS}test_pixels_of_a_block_start_alike_and_near_to_nothing[spatial]",),
    ),
    Fault(
        "codes of a map channel by channel", MODELS,
        edit("parts.posteriors.maps:MapPosterior.forward", "to_positions(part).flatten(1)", "part.flatten(1)"),
        (f"{NETS}test_a_code_on_a_map_sees_its_own_part_of_the_picture",),
    ),
    Fault(
        "guidance without the field that knows no condition", PRIORS,
        edit("nn.unet:Guided.forward", "free: Tensor = self.field(z, t, torch.zeros_like(c))",
             "free: Tensor = self.field(z, t, c)"),
        (f"{NETS}test_guidance_goes_from_the_field_without_a_condition_through_that_with_it",),
    ),
    Fault(
        "a divergence of the diagonal that is a sum of all", PRIORS,
        edit("nn.unet:divergence", "(along * signs).sum(-1)", "along.sum(-1)"),
        (f"{NETS}test_a_long_divergence_is_right_on_average",),
    ),
    Fault(
        "a condition that is never kept back", PRIORS,
        edit("parts.priors.flow_matching:FlowMatchingPrior._told", "< UNTOLD", "< 0"),
        (f"{NETS}test_a_condition_is_kept_from_a_tenth_of_the_rows_in_training_only",),
    ),
    Fault(
        "a guided sampler in other units", SAMPLERS,
        edit("parts.priors.two_stage:MovedPrior.guided", "found.loc, found.scale = self.loc, self.scale", "pass"),
        (f"{NETS}test_a_prior_that_learned_without_its_condition_can_be_guided_and_others_cannot",),
    ),
    Fault(
        "an edit away from what was asked", VERBS,
        edit("runs.verbs.edit:direction", "a - b for a, b", "b - a for a, b"),
        (f"{RUNS}test_groups_of_rows_make_a_way_too_and_by_scales_it",),
    ),
    Fault(
        "test rows in the way of an edit", VERBS,
        edit("runs.verbs.edit:_of_classes", 'run.part(dataset, "train")', 'run.part(dataset, "all")'),
        (f"{RUNS}test_the_way_to_a_class_is_between_the_mean_codes_of_training_rows",),
    ),
    Fault(
        "diverged runs among the others", VERBS,
        edit("runs.families:summary", "fine = [r for r in usual if not diverged(r)]",
             "fine = [r for r in usual if r.get('failed') is None]"),
        (f"{FAMILIES}test_failed_and_diverged_runs_are_counted_and_kept_out_of_means",),
    ),
    Fault(
        "a bound called exact", VERBS,
        edit("runs.families:Judge.likelihood", '"is": family.likelihood, "value": float(values.mean())',
             '"is": "exact", "value": float(values.mean())'),
        (f"{FAMILIES}test_a_likelihood_is_never_a_number_under_another_name",),
    ),
    Fault(
        "a known density without its number of modes", VERBS,
        edit("data.ring:log_density", " - np.log(MODES)", ""),
        (f"{FAMILIES}test_the_ring_has_the_density_it_says",),
    ),
    Fault(
        "sheets with a copy of every colour", VERBS,
        edit("data.images.sheets:write_sheet", "*[1] * (picture.ndim - 2)", "*picture.shape[2:]"),
        (f"{RUNS}test_a_sheet_of_small_pictures_in_colour_shows_them_larger",),
    ),
)
