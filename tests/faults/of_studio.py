"""Faults of the studio: doors left open, rows shown as others, jobs told wrong."""

from __future__ import annotations

from .plants import VERBS, Fault, edit

GATE = "tests/studio/test_gate.py::"
FOLDER = "tests/studio/test_workspace.py::"
EXPLORE = "tests/studio/test_explore.py::"
JOBS = "tests/studio/test_jobs.py::"

LIST = (
    Fault(
        "a studio that answers under anybody's name", VERBS,
        edit("studio.gate:Gate._is_ours", "if is_loopback(self.host):\n            return False",
             "if is_loopback(self.host):\n            return True"),
        (f"{GATE}test_another_name_for_this_address_is_refused",),
    ),
    Fault(
        "a studio that other pages may ask", VERBS,
        edit("studio.gate:Gate._refused", 'urlsplit(origin).netloc != headers["host"]', "urlsplit(origin).netloc == ''",
             '("cross-site", "same-site")', '("cross-site",)'),
        (f"{GATE}test_pages_of_others_may_not_ask",),
    ),
    Fault(
        "a token that is as good as its beginning", VERBS,
        edit("studio.gate:same", "hmac.compare_digest(given.encode(), token.encode())",
             "bool(given) and token.startswith(given)"),
        (f"{GATE}test_a_wrong_token_is_no_token",),
    ),
    Fault(
        "links that lead out of the studio's folder", VERBS,
        edit("studio.workspace:Workspace.inside", "path.resolve().is_relative_to(self.root)",
             "path.absolute().is_relative_to(self.root)"),
        (f"{FOLDER}test_links_lead_nowhere",),
    ),
    Fault(
        "a folder of uploads without an end", VERBS,
        edit("studio.workspace:Workspace.receive", "used + size > self.largest", "size > self.largest"),
        (f"{FOLDER}test_a_folder_that_was_dropped_is_limited_as_a_whole",),
    ),
    Fault(
        "a job that nobody works on and that is called working", VERBS,
        edit("studio.jobs:Jobs.working", "lock.release()", "return True"),
        (f"{JOBS}test_a_job_without_a_process_and_without_an_end_is_lost",),
    ),
    Fault(
        "a map whose plane is not the widest", VERBS,
        edit("studio.maps:LatentMap.plane", "xy = (self.codes - origin) @ axes.T", "xy = self.codes @ axes.T"),
        (f"{EXPLORE}test_places_on_the_map_are_codes_on_two_axes",),
    ),
    Fault(
        "rows with holes that are other rows", VERBS,
        edit("studio.routes_explore:_with_holes", "(~mask.flatten(1).all(1))", "mask.flatten(1).all(1)"),
        (f"{EXPLORE}test_holes_are_filled_and_the_rest_stays",),
    ),
    Fault(
        "reasons of the row beside", VERBS,
        edit("studio.anomalies:StrangeRows.reasons", "(self.shares[row] - middle)", "(self.shares[row - 1] - middle)"),
        (f"{EXPLORE}test_scores_and_reasons_find_the_strange_row",),
    ),
    Fault(
        "rows of a table that are exported in the order of the file", VERBS,
        edit("data.table.source:rows_at", 'frame.iloc[np.argsort(order, kind="stable")]', "frame"),
        (f"{EXPLORE}test_rows_go_out_as_they_came_in",),
    ),
)
