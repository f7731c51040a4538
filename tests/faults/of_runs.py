"""Faults in run folders: what replaces what and when, locks, signals, what survives saving."""

from __future__ import annotations

from .plants import CHECKPOINT, VERBS, Fault, edit

PLACES = "tests/runs/test_places.py::"
SAVING = "tests/runs/test_saving.py::"
FEW = "tests/runs/test_few_rows.py::"

LIST = (
    Fault(
        "a new run that moves over the old one before it is whole", CHECKPOINT,
        edit("training.places:reserved", "folder / NEW, main=main", "folder, main=main"),
        (f"{PLACES}test_a_stopped_replacement_goes_on_while_the_old_run_stays",),
    ),
    Fault(
        "a replacement that is begun again after a kill", CHECKPOINT,
        edit("training.places:settle", "and not moving.is_dir()", "or True", "new.rename(moving)",
             "new.rename(moving) if new.is_dir() else None"),
        (f"{PLACES}test_a_replacement_that_dies_anywhere_is_finished_by_the_next_who_looks",),
    ),
    Fault(
        "what only the old run had stays", CHECKPOINT,
        edit("training.places:settle", "old.unlink()", "pass"),
        (f"{PLACES}test_overwriting_replaces_the_run_and_nothing_else",),
    ),
    Fault(
        "a replacement that nobody finishes", CHECKPOINT,
        edit("training.places:need_run", "settled(path)", "pass"),
        (f"{PLACES}test_a_replacement_that_dies_anywhere_is_finished_by_the_next_who_looks",),
    ),
    Fault(
        "a lock that everybody gets", CHECKPOINT,
        edit("training.lock:_ours", "fcntl.LOCK_EX | fcntl.LOCK_NB", "fcntl.LOCK_SH | fcntl.LOCK_NB"),
        (f"{PLACES}test_one_at_a_time_trains_in_a_folder",),
    ),
    Fault(
        "a lock on a file that is not there any more", CHECKPOINT,
        edit("training.lock:Lock.release", "if self.held():", "if True:"),
        (f"{PLACES}test_a_lock_file_that_was_taken_away_is_not_held_twice",),
    ),
    Fault(
        "a history written into another run's folder", CHECKPOINT,
        edit("training.listeners:History.append", "if not self.held():", "if False:"),
        (f"{PLACES}test_a_run_does_not_write_into_another_that_took_its_place",),
    ),
    Fault(
        "a state that is not rescued", CHECKPOINT,
        edit("runs.training.train:_rescuing", "if place.held() or not place.main:", "if True:"),
        (f"{PLACES}test_a_folder_that_is_removed_ends_the_run_and_its_state_is_kept_beside",),
    ),
    Fault(
        "a checkpoint written into another run's folder", CHECKPOINT,
        edit("training.listeners:Present.on", "agreed(training, not self.place.held())", "False"),
        (f"{PLACES}test_a_run_does_not_write_into_another_that_took_its_place",),
    ),
    Fault(
        "a signal that is forgotten after the last step", CHECKPOINT,
        edit("training.signals:Interrupt.installed", "if self.signal and not self.answered:", "if False:"),
        (f"{PLACES}test_a_signal_that_came_too_late_to_stop_training_acts_afterwards",),
    ),
    Fault(
        "double precision that is lost on the disk", CHECKPOINT,
        edit("training.checkpoint:load_state", "module.double()", "pass"),
        (f"{SAVING}test_a_run_in_double_precision_stays_so",),
    ),
    Fault(
        "a saved run without its history", VERBS,
        edit("runs.verbs.saving:save", "if run.heard:", "if False:"),
        (f"{SAVING}test_a_run_from_a_folder_is_saved_elsewhere_with_all_it_has",),
    ),
    Fault(
        "few rows with nothing to compare with", VERBS,
        edit("runs.training.train:keeps_reference", "and held_out(dataset.schema)",
             "and len(dataset) >= 20 and held_out(schema)"),
        (f"{FEW}test_few_rows_are_scored_by_a_run_that_was_loaded",),
    ),
    Fault(
        "parcels that stay after a kill", VERBS,
        edit("runs.training.parcel:parcel_folder", "shutil.rmtree(old, ignore_errors=True)", "pass"),
        ("tests/runs/test_devices.py::test_parcels_that_a_kill_left_go_with_the_next_start",),
    ),
)
