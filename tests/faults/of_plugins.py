"""Faults in what other packages add: names taken, failures that spread, runs that do not say what they need, slots."""

from __future__ import annotations

from .plants import CHECKPOINT, MODELS, SCHEMA, Fault, edit

LOADING = "tests/plugins/test_loading.py::"
NEEDED = "tests/plugins/test_needed.py::"
KINDS = "tests/plugins/test_kinds.py::"
SLOTS = "tests/recipes/test_slots.py::"

LIST = (
    Fault(
        "a plug-in that takes the name of a part of senzai", MODELS,
        edit("core.registry:Registry._refuse", 'raise SettingError(f"{taken}{by}. Choose another.")', "return"),
        (f"{LOADING}test_one_that_takes_a_name_of_senzai_is_refused_with_its_name",),
    ),
    Fault(
        "half a plug-in that stays", MODELS,
        edit("core.plugins:Plugins._load", "self._take_back()", "pass"),
        (f"{LOADING}test_nothing_stays_of_one_that_fails_and_who_asks_for_it_is_told_why",),
    ),
    Fault(
        "a plug-in that takes the others down", MODELS,
        edit("core.plugins:Plugins._load", "(Exception, SystemExit)", "ZeroDivisionError"),
        (f"{LOADING}test_one_that_fails_is_named_once_with_its_reason_and_the_others_are_there",),
    ),
    Fault(
        "a plug-in whose failure nobody hears of", MODELS,
        edit("core.registry:Registry.__missing__", "{plugins.PLUGINS.explain(str(name))}", ""),
        (f"{LOADING}test_nothing_stays_of_one_that_fails_and_who_asks_for_it_is_told_why",),
    ),
    Fault(
        "a list of names without those of plug-ins", MODELS,
        edit("core.registry:Registry.keys", "plugins.PLUGINS.load()", "pass"),
        (f"{LOADING}test_every_way_of_looking_into_a_registry_finds_what_plug_ins_add",),
    ),
    Fault(
        "threads that do not wait for plug-ins", MODELS,
        edit("core.plugins:Plugins.load", "if self._done:", "if self._begun:"),
        (f"{LOADING}test_threads_wait_for_plug_ins_that_another_one_loads",),
    ),
    Fault(
        "a part of a package that passes for senzai's", CHECKPOINT,
        edit("core.plugins:Plugins.owner", "if _top(module) == SENZAI:", "if module:"),
        (f"{NEEDED}test_a_run_says_its_packages_and_their_versions",),
    ),
    Fault(
        "a spec without the package of its recipe", CHECKPOINT,
        edit("training.required:packages_of", "(RECIPES, recipe), ", ""),
        (f"{NEEDED}test_a_package_is_named_for_its_recipe_alone",),
    ),
    Fault(
        "a run that is loaded without its packages", CHECKPOINT,
        edit("training.required:need_packages", 'plugins.PLUGINS.need(package, to="load this run")', "pass"),
        (f"{NEEDED}test_a_run_is_not_loaded_without_its_package_which_is_named",),
    ),
    Fault(
        "another version of a package that nobody hears of", CHECKPOINT,
        edit("training.required:need_packages", "!= version", "is None"),
        (f"{NEEDED}test_another_version_is_a_note",),
    ),
    Fault(
        "a slot that no registry knows, accepted silently", SCHEMA,
        edit("recipes.settings:Settings.check", "if name in self.asked:", "if True:"),
        (f"{SLOTS}test_what_cannot_be_used_is_refused_with_the_way_out",),
    ),
    Fault(
        "settings of one network that reach both", SCHEMA,
        edit("recipes.settings:Settings.own", 'k.startswith(f"{slot}.")', 'k.partition(".")[1]'),
        (f"{SLOTS}test_a_setting_with_a_dot_is_of_one_network_and_one_without_of_both",),
    ),
    Fault(
        "an encoder that the data propose, whatever the user sets", SCHEMA,
        edit("recipes.frame:Frame.encoder", "if self.network == self._decoder.name", "if self.network"),
        (f"{SLOTS}test_what_the_user_sets_goes_before_what_the_data_propose",),
    ),
    Fault(
        "settings of the proposed part for another one", SCHEMA,
        edit("recipes.frame:Frame.part", "(defaults if name == default else {})", "defaults"),
        (f"{SLOTS}test_another_encoder_does_not_get_the_settings_of_the_proposed_one",),
    ),
    Fault(
        "a measure of one kind that judges every other", MODELS,
        edit("evaluation.catalogue:Measure.missing", "if self.kinds and", "if False and"),
        (f"{KINDS}test_a_measure_judges_rows_of_its_kinds_and_no_others",),
    ),
    Fault(
        "measures that are not told the kind", MODELS,
        edit("runs.verbs.evaluate:extras_of", "kind=schema.kind", 'kind=""'),
        (f"{KINDS}test_a_measure_judges_rows_of_its_kinds_and_no_others",),
    ),
    Fault(
        "a file of an outside kind that is not there", MODELS,
        edit("data.open:_read", "sources.existing(source)", "pass"),
        (f"{KINDS}test_a_file_that_is_not_there_is_told_with_the_names_that_are_near",),
    ),
)
