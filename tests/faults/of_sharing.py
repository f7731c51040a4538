"""Faults in what hands runs on, tracks, tunes and shows them."""

from __future__ import annotations

from .plants import CHECKPOINT, LOOP, VERBS, Fault, edit

PACKING = "tests/sharing/test_packing.py::"
HUB = "tests/sharing/test_hub.py::"
TRACKERS = "tests/training/test_trackers.py::"
TUNING = "tests/tuning/test_tuning.py::"
SHOWN = "tests/runs/test_shown.py::"

LIST = (
    Fault(
        "a stranger's file that is taken from an archive", CHECKPOINT,
        edit("sharing.contents:check", "if strange:", "if False:"),
        (f"{PACKING}test_other_names_than_those_of_a_run_are_refused_before_anything_is_written[run.py]",),
    ),
    Fault(
        "a link in an archive that is followed", CHECKPOINT,
        edit("sharing.unpacking:_wrong", "stat.S_IFMT(mode) not in (0, stat.S_IFREG)", "False"),
        (f"{PACKING}test_links_and_devices_are_refused",),
    ),
    Fault(
        "announced sizes that nobody looks at", CHECKPOINT,
        edit("sharing.contents:_check_sizes", "if whole > free:", "if False:"),
        (
            f"{PACKING}test_sizes_that_are_not_free_are_refused_before_they_are_taken",
            f"{HUB}test_announced_sizes_are_looked_at_before_anything_is_downloaded",
        ),
    ),
    Fault(
        "tensors that grow a thousandfold when they are unpacked", CHECKPOINT,
        edit("sharing.unpacking:_wrong", "entry.file_size > MOST_SHRINK * max(1, entry.compress_size)", "False"),
        (f"{PACKING}test_tensors_that_grow_beyond_belief_are_refused_unread",),
    ),
    Fault(
        "the user's folders in a packed run", CHECKPOINT,
        edit("sharing.packing:without_folder", "if os.path.isabs(source) else source", "if False else source"),
        (f"{PACKING}test_an_archive_holds_the_files_of_a_run_and_no_place_on_the_disk",),
    ),
    Fault(
        "training rows that go to the hub unasked", CHECKPOINT,
        edit("sharing.packing:prepared", "if rows or n != REFERENCE", "if True"),
        (
            f"{HUB}test_json_safetensors_and_a_card_go_there_and_nothing_else",
            f"{PACKING}test_training_rows_stay_at_home_where_that_is_asked_for",
        ),
    ),
    Fault(
        "a token in a message", CHECKPOINT,
        edit("sharing.hub:_error", "without_secrets(\" \".join(str(err).split()))", "\" \".join(str(err).split())"),
        (f"{HUB}test_a_hub_that_refuses_is_told_in_one_sentence_without_the_token",),
    ),
    Fault(
        "a run of two commits", CHECKPOINT,
        edit("sharing.hub:_download", "if folder.name != commit:", "if False:"),
        (f"{HUB}test_a_repository_that_changes_while_it_is_read_is_not_mixed",),
    ),
    Fault(
        "an earlier run's rows that stay on the hub", CHECKPOINT,
        edit("sharing.hub:push", "if file in there and file not in files", "if False"),
        (f"{HUB}test_what_an_earlier_run_left_there_goes",),
    ),
    Fault(
        "a packed run without what it compares rows with", VERBS,
        edit("runs.run:_detach", "run.history, kept_reference(run)", "run.history, None"),
        (f"{PACKING}test_a_packed_run_answers_like_its_folder",),
    ),
    Fault(
        "a tracker that takes the training down with it", LOOP,
        edit("training.listeners.trackers:Tolerated.on", "except Exception as", "except ZeroDivisionError as"),
        (f"{TRACKERS}test_a_tracker_that_fails_ends_nothing_but_itself",),
    ),
    Fault(
        "a resumed run that is another one for MLflow", LOOP,
        edit("training.listeners.mlflow:MLflow._begin", "if event.step > 0 else None", "if False else None"),
        (f"{TRACKERS}test_a_resumed_run_goes_on_in_the_same_run_of_mlflow",),
    ),
    Fault(
        "settings that are chosen by the test rows", VERBS,
        edit("tuning.trials:judged", "run.part(dataset, \"validation\")", "run.part(dataset, \"test\")"),
        (f"{TUNING}test_test_rows_are_not_looked_at",),
    ),
    Fault(
        "the last run in place of the best", VERBS,
        edit("tuning.study:keep_if_best", "if known is not None and (", "if False and ("),
        (f"{TUNING}test_a_worse_run_does_not_take_the_place_of_the_best",),
    ),
    Fault(
        "a study that draws the same settings again when it goes on", VERBS,
        edit("tuning.study:opened", "derive(about.seed, \"tune\", str(worker), str(told))",
             "derive(about.seed, \"tune\", str(worker))"),
        (f"{TUNING}test_a_study_goes_on_with_new_draws",),
    ),
    Fault(
        "a study that goes on about something else", VERBS,
        edit("tuning.study:StudyFacts.need_same", "if differ:", "if False:"),
        (f"{TUNING}test_other_data_are_refused",),
    ),
    Fault(
        "a server that puts runs on a hub for whoever asks", VERBS,
        edit("runs.verbs.registry:served_verbs", "if not found.own_hand", "if True"),
        ("tests/serving/test_verbs.py::test_no_verb_that_acts_in_the_users_name_is_done_for_whoever_asks",),
    ),
    Fault(
        "text of the data that a notebook obeys", VERBS,
        edit("runs.shown:as_html", "f\"{escape(spec.source)}, each", "f\"{spec.source}, each"),
        (f"{SHOWN}test_nothing_of_the_data_is_obeyed",),
    ),
)
