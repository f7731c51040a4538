"""Faults in serving: who may ask, what is refused, requests answered together, runs that are replaced, and few rows."""

from __future__ import annotations

from .plants import SCHEMA, VERBS, Fault, edit

SHELF = "tests/serving/test_shelf.py::"
ENDPOINTS = "tests/serving/test_verbs.py::"
JOINING = "tests/serving/test_joining.py::"
LIMITS = "tests/serving/test_limits.py::"
CLIENT = "tests/serving/test_client.py::"
FEW = "tests/data/test_few_rows.py::"
KINDS = "tests/data/test_kinds.py::"

LIST = (
    Fault(
        "a token that need only begin rightly", VERBS,
        edit("serving.settings:ServeSettings.admits",
             "secrets.compare_digest(told.strip().encode(), self.token.encode())",
             "told.strip().startswith(self.token)"),
        (f"{LIMITS}test_with_a_token_nobody_else_may_ask",),
    ),
    Fault(
        "meters that anybody may read", VERBS,
        edit("serving.guard:Guard._admit", 'scope["path"] not in OPEN', 'scope["path"] not in (*OPEN, "/metrics")'),
        (f"{LIMITS}test_with_a_token_nobody_else_may_ask",),
    ),
    Fault(
        "a server without a token that answers under any name", VERBS,
        edit("serving.guard:Guard._admit", "host not in LOOPBACK", "False"),
        (f"{LIMITS}test_without_a_token_only_this_machine_is_answered_and_no_page_of_others",),
    ),
    Fault(
        "a server without a token that others can reach", VERBS,
        edit("serving.settings:ServeSettings.need_safe_address", "self.token is None and", "False and"),
        (f"{LIMITS}test_addresses_that_cannot_be_had",),
    ),
    Fault(
        "a body without end", VERBS,
        edit("serving.guard:Slow.__call__", "self._bytes > self._settings.body_bytes", "False"),
        (f"{LIMITS}test_more_rows_bytes_or_pixels_than_allowed",),
    ),
    Fault(
        "text that becomes the name of a file of the server", VERBS,
        edit("serving.bodies:need_rows", "not isinstance(value, list | dict) or not value", "value is None"),
        (f"{LIMITS}test_bad_bodies",),
    ),
    Fault(
        "settings that only Python has, from strangers", VERBS,
        edit("serving.words:_as_json", "annotation is object:", "annotation is object or annotation is Any:",
             "if required else None\n    if get_origin(annotation) in (Union",
             "if required or annotation is Any else None\n    if get_origin(annotation) in (Union"),
        (f"{LIMITS}test_what_names_a_file_of_the_server_or_only_python_has_is_no_setting",),
    ),
    Fault(
        "a bug that is told with its text", VERBS,
        edit("serving.problems:problem", "{type(err).__name__}. Please", "{type(err).__name__}: {err}. Please"),
        (f"{LIMITS}test_a_bug_is_told_without_data_and_logged_with_its_place",),
    ),
    Fault(
        "answers of others", VERBS,
        edit("serving.joining:_cut", "        start = stop\n", "        start = 0\n"),
        (f"{JOINING}test_together_is_as_one_by_one[encode-codes-settings0]",),
    ),
    Fault(
        "draws that are joined", VERBS,
        edit("runs.verbs.registry:unless_seeded", 'settings.get("seed") is None', "True"),
        (f"{JOINING}test_draws_are_never_joined_since_rows_that_are_alike_get_draws_of_their_own",),
    ),
    Fault(
        "calls that are joined whatever their settings", VERBS,
        edit("serving.joining:_group", "tuple(sorted((name, repr(value)) for name, value in asked.settings.items()))",
             "()"),
        (f"{JOINING}test_other_settings_are_another_call",),
    ),
    Fault(
        "one bad row that fails all who ask at once", VERBS,
        edit("serving.joining:_one_call", "        except Exception:\n            pass\n",
             "        except Exception as err:\n            return {i: err for i, _ in part}\n"),
        (f"{JOINING}test_a_bad_row_is_the_trouble_of_whoever_sent_it",),
    ),
    Fault(
        "a run that stays when its folder is replaced", VERBS,
        edit("serving.shelf:Shelf.run", "place.run is not None and place.stamp == stamp", "place.run is not None"),
        (f"{SHELF}test_a_replaced_folder_is_loaded_anew",),
    ),
    Fault(
        "a run that is lost while its folder is half written", VERBS,
        edit("serving.shelf:_load", "                if place.run is None:\n                    raise\n",
             "                raise\n"),
        (f"{SHELF}test_while_a_folder_is_damaged_the_run_from_before_goes_on",),
    ),
    Fault(
        "a name that becomes a path", VERBS,
        edit("serving.shelf:Shelf._place", "            known = self._places.get(name)\n        if known is None:\n",
             "            beside = next(iter(self._places.values())).folder.parent / name\n"
             "            known = self._places.get(name) or _Place(beside)\n        if known is None:\n"),
        (f"{SHELF}test_a_name_is_never_a_path[people/../numbers]",),
    ),
    Fault(
        "errors of a server that are all one", VERBS,
        edit("serving.client:error_of", "getattr(errors, name, None)", "None"),
        (f"{CLIENT}test_errors_are_those_of_the_run",),
    ),
    Fault(
        "few rows whose repeated values go elsewhere", SCHEMA,
        edit("data.table.quick:_Numbers._places", "if value in self.repeated:", "if False:"),
        (f"{FEW}test_usual_rows_are_read_by_plans_and_to_the_last_bit",),
    ),
    Fault(
        "pictures whose levels are those of files", SCHEMA,
        edit("data.images.kind:_as_given", "pixels * (top / 255)", "pixels"),
        (f"{ENDPOINTS}test_pictures_come_and_go_as_base64_png",),
    ),
)
