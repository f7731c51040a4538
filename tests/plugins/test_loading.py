"""Plug-ins are found by their entry points, loaded once and late; what is wrong with one is said and stays its own."""

from __future__ import annotations

import threading
import time
import warnings

import pytest

from senzai.core import plugins
from senzai.core.errors import MissingExtraError, UnknownNameError
from senzai.core.registry import Registry
from senzai.core.spec import make, registry

from .conftest import WAVES

BROKEN = """
    from senzai.core.spec import registry
    registry("prior").add("half")(dict)
    import no_such_module
"""


def heard(look):
    """What ``look`` returns, and the warnings on the way."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        value = look()
    return value, [str(w.message) for w in found]


@pytest.mark.parametrize(
    "look",
    [
        lambda r: "shifted" in r, lambda r: "shifted" in list(r), lambda r: "shifted" in {**r},
        lambda r: "shifted" in dict(r), lambda r: "shifted" in r.keys(), lambda r: r["shifted"],  # noqa: SIM118
        lambda r: r.get("shifted"), lambda r: dict(r.items())["shifted"], lambda r: len(r) > dict.__len__(r) - 1,
        lambda r: any(v.__name__ == "Shifted" for v in r.values()),
    ],
)
def test_every_way_of_looking_into_a_registry_finds_what_plug_ins_add(here, look):
    here.install("senzai-waves", {"senzai_waves": WAVES})
    assert look(registry("prior"))
    assert "shifted" in dict.keys(registry("prior"))


def test_a_registered_part_is_made_and_knows_its_package(here):
    here.install("senzai-waves", {"senzai_waves": WAVES})
    assert make("prior/shifted", n_latent=3, start=2.0).loc.tolist() == [2.0, 2.0, 2.0]
    assert registry("prior").package_of("shifted") == "senzai-waves"
    assert registry("prior").package_of("mixture") == "senzai"


def test_a_part_is_of_its_package_also_when_the_user_imported_it_first(here):
    here.install("senzai-waves", {"senzai_waves": WAVES})
    import senzai_waves  # noqa: F401

    assert registry("prior").package_of("shifted") == "senzai-waves"


def test_what_no_package_registers_belongs_to_none():
    animals: Registry[type] = Registry("animal")
    animals.add("cat")(str)
    assert animals.package_of("cat") is None
    with pytest.raises(UnknownNameError, match="Unknown animal 'dog'"):
        animals.package_of("dog")


def test_an_entry_point_may_name_a_function(here):
    source = "def register():\n    from senzai.core.spec import registry\n    registry('prior').add('called')(dict)\n"
    here.install("senzai-waves", {"senzai_waves": source}, plugin="senzai_waves:register")
    assert registry("prior")["called"] is dict
    assert registry("prior").package_of("called") == "senzai-waves"


def test_one_that_fails_is_named_once_with_its_reason_and_the_others_are_there(here):
    here.install("a-broken", {"a_broken": BROKEN})
    here.install("senzai-waves", {"senzai_waves": WAVES})
    _, first = heard(lambda: list(registry("prior")))
    _, second = heard(lambda: list(registry("likelihood")))
    assert len(first) == 1
    assert "'a-broken' could not be loaded: ModuleNotFoundError: No module named 'no_such_module'" in first[0]
    assert "pip uninstall a-broken" in first[0]
    assert not second
    assert "shifted" in registry("prior")


def test_nothing_stays_of_one_that_fails_and_who_asks_for_it_is_told_why(here):
    here.install("a-broken", {"a_broken": BROKEN})
    found, _ = heard(lambda: "half" in registry("prior"))
    assert not found
    with pytest.raises(UnknownNameError, match=r"Unknown prior 'half'.* 'a-broken' could not be loaded: ModuleNotF"):
        registry("prior")["half"]


def test_a_program_that_leaves_is_a_failure_like_another(here):
    here.install("a-broken", {"a_broken": "raise SystemExit(3)"})
    _, said = heard(lambda: list(registry("prior")))
    assert "'a-broken' could not be loaded: SystemExit: 3" in said[0]


def test_one_that_takes_a_name_of_senzai_is_refused_with_its_name(here):
    here.install("senzai-waves", {"senzai_waves": WAVES.replace('"shifted"', '"standard_normal"')})
    before = dict.__getitem__(registry("prior"), "standard_normal")
    _, said = heard(lambda: list(registry("prior")))
    assert "'senzai-waves' could not be loaded: A prior name is used once, but 'standard_normal' is registered by " in (
        said[0]
    )
    assert "by senzai itself" in said[0]
    assert registry("prior")["standard_normal"] is before
    assert registry("prior").package_of("standard_normal") == "senzai"


def test_two_that_want_one_name_are_both_named(here):
    here.install("a-waves", {"a_waves": WAVES})
    here.install("b-waves", {"b_waves": WAVES})
    _, said = heard(lambda: list(registry("prior")))
    assert len(said) == 1
    assert "'b-waves' could not be loaded" in said[0]
    assert "registered by 'a-waves'" in said[0]
    assert registry("prior").package_of("shifted") == "a-waves"


def test_senzai_s_own_entry_takes_the_place_of_one_that_was_there_before_it(site):
    """A plug-in may be loaded before the modules of senzai that register the name."""
    taken = "from senzai.core.spec import registry\nregistry('prior').add('standard_normal')(dict)\n"
    site.install("senzai-waves", {"senzai_waves": taken})
    done = site.run(
        """
        import warnings
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always")
            from senzai.core.spec import registry
            print(registry("prior")["standard_normal"] is dict)
            import senzai.parts
        print(registry("prior")["standard_normal"] is senzai.parts.StandardNormal)
        print(*(w.message for w in heard))
        """
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("True\nTrue\nThe plug-in 'senzai-waves' could not be loaded: A prior name is used")


def test_importing_and_helping_load_no_plug_in(site):
    site.install("senzai-waves", {"senzai_waves": "print('loaded')"})
    modules = """
        import importlib, pkgutil, senzai
        for found in pkgutil.walk_packages(senzai.__path__, "senzai."):
            if not found.name.endswith("__main__"):
                importlib.import_module(found.name)
        from senzai.core import plugins
        print("registries:", plugins.PLUGINS._begun)
        """
    done = site.run(modules)
    assert (done.returncode, done.stdout) == (0, "registries: False\n"), done.stderr
    assert "loaded" not in site.process("-m", "senzai", "--help").stdout
    assert "loaded" in site.process("-m", "senzai", "recipes").stdout


def test_threads_wait_for_plug_ins_that_another_one_loads():
    class Slow:
        value = "slow"
        dist = None

        def load(self):
            time.sleep(0.2)
            found.append("loaded")

    found = []
    own = plugins.Plugins(lambda: [Slow()])
    threads = [threading.Thread(target=lambda: (own.load(), found.append("seen"))) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert found == ["loaded", *["seen"] * 4]


def test_one_that_looks_into_a_registry_while_it_is_loaded_sees_what_is_there(here):
    here.install("senzai-waves", {"senzai_waves": WAVES + "\n    assert len(list(REGISTRY)) > 0\n".replace(
        "REGISTRY", "__import__('senzai.core.spec').core.spec.registry('prior')")})
    assert "shifted" in registry("prior")


def test_a_needed_package_that_is_not_there_is_named_with_the_way_to_get_it(here):
    here.install("senzai-waves", {"senzai_waves": WAVES})
    plugins.PLUGINS.need("senzai-waves", to="load a run")
    with pytest.raises(MissingExtraError, match="pip install senzai-tides"):
        plugins.PLUGINS.need("senzai-tides", to="load a run")
