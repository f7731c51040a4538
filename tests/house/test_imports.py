"""Rooms import downwards, the door opens without torch, and nothing unpickles."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys

import pytest

PICKLES = {"pickle", "cPickle", "cloudpickle", "dill", "shelve", "marshal", "joblib"}
UNPICKLING = {"torch.load", "torch.save", "numpy.load", "np.load"}


def python(code: str, *args: str, **kwargs) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code, *args], capture_output=True, text=True, timeout=1800, **kwargs)


def lint_imports(source_root, config) -> subprocess.CompletedProcess[str]:
    code = (
        "import sys; from importlinter.cli import lint_imports; "
        "sys.exit(lint_imports(config_filename=sys.argv[1], no_cache=True, no_logo=True))"
    )
    return python(code, str(config), cwd=source_root)


def test_rooms_import_downwards(root):
    done = lint_imports(root / "src", root / "pyproject.toml")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("planted", ["core -> dist", "a new room"])
def test_a_wrong_import_would_be_noticed(root, package, tmp_path, planted):
    copy = tmp_path / "senzai"
    shutil.copytree(package, copy, ignore=shutil.ignore_patterns("__pycache__"))
    if planted == "core -> dist":
        with (copy / "core" / "errors.py").open("a") as file:
            file.write("\nfrom senzai.distributions import family as family\n")
    else:
        (copy / "cellar").mkdir()
        (copy / "cellar" / "__init__.py").write_text('"""Cellar: a room that no plan knows."""\n')
    done = lint_imports(tmp_path, root / "pyproject.toml")
    assert done.returncode == 1, done.stdout + done.stderr
    said = "senzai.core is not allowed to import senzai.distributions" if "core" in planted else "cellar"
    assert said in done.stdout


def test_every_room_says_in_one_sentence_what_may_enter(package, sources):
    rooms = {p.name for p in package.iterdir() if p.is_dir() and any(p.glob("*.py"))}
    docs = {s.path.parent.name: ast.get_docstring(s.tree) or "" for s in sources if s.path.name == "__init__.py"}
    assert rooms <= docs.keys(), f"no __init__.py: {rooms - docs.keys()}"
    for room in rooms:
        sentence = " ".join(docs[room].split("\n\n")[0].split())
        assert sentence.endswith("."), f"{room}: {sentence!r}"
        assert ". " not in sentence, f"{room}: more than one sentence in {sentence!r}"


def test_the_package_imports_without_torch():
    done = python("import sys, senzai; senzai.InputError; dir(senzai); print('torch' in sys.modules)")
    assert done.stdout.strip() == "False", done.stderr


def test_help_comes_without_torch():
    code = """
import atexit, sys
atexit.register(lambda: print("torch was imported:", "torch" in sys.modules))
from senzai.apps.cli import main
sys.argv = ["senzai", "--help"]
main()
"""
    done = python(code)
    assert done.returncode == 0, done.stderr
    assert "torch was imported: False" in done.stdout


def test_public_names_exist(package):
    import senzai

    has_runs = (package / "runs" / "__init__.py").exists()
    assert sorted(senzai.__all__) == senzai.__all__
    assert set(senzai.__all__) <= set(dir(senzai))
    for name in senzai.__all__:
        if has_runs or not name.islower():
            assert getattr(senzai, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = senzai.nothing


def test_every_error_is_public():
    import senzai
    from senzai.core import errors

    own = {n for n, v in vars(errors).items() if isinstance(v, type) and issubclass(v, BaseException)}
    assert own == {n for n in senzai.__all__ if n[0].isupper()}


def test_nothing_pickles(sources):
    found = []
    for s in sources:
        for node in ast.walk(s.tree):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            found += [f"{s.name}:{node.lineno} {n}" for n in names if n.split(".")[0] in PICKLES]
            if isinstance(node, ast.Call) and ast.unparse(node.func) in UNPICKLING:
                safe = any(k.arg == "allow_pickle" and ast.unparse(k.value) == "False" for k in node.keywords)
                found += [] if safe else [f"{s.name}:{node.lineno} {ast.unparse(node.func)}"]
    assert not found


@pytest.mark.parametrize(("given", "kept"), [({}, "1"), ({"THP_MEM_ALLOC_ENABLE": "0"}, "0")])
def test_torch_is_asked_for_huge_pages_unless_the_user_decided(given, kept):
    env = {k: v for k, v in os.environ.items() if k != "THP_MEM_ALLOC_ENABLE"} | given
    code = "import os, sys, senzai; assert 'torch' not in sys.modules; print(os.environ['THP_MEM_ALLOC_ENABLE'])"
    assert python(code, env=env).stdout.strip() == kept


def test_old_module_names_work_with_a_warning_that_says_the_new_one():
    done = python(
        "import importlib, sys, warnings, senzai\n"
        "from senzai.core.renamed import RENAMED\n"
        "for old, new in (*RENAMED.items(), ('dist.mixed', 'distributions.mixed')):\n"
        "    with warnings.catch_warnings(record=True) as heard:\n"
        "        warnings.simplefilter('always')\n"
        "        found = importlib.import_module(f'senzai.{old}')\n"
        "    assert any(f'`senzai.{old}` is called `senzai.{new}` now' in str(w.message) for w in heard), old\n"
        "    assert found is importlib.import_module(f'senzai.{new}'), old\n"
        "    assert found.__name__ == found.__spec__.name == f'senzai.{new}', old\n"
        "try: import senzai.fase\n"
        "except ModuleNotFoundError as err: print(err)"
    )
    assert done.returncode == 0, done.stderr
    assert "No module named 'senzai.fase'" in done.stdout


def test_old_names_of_classes_work_with_a_warning():
    import senzai.objectives

    said = r"`senzai.objectives.Linear` is called `senzai.objectives.LinearWarmup`"
    with pytest.warns(DeprecationWarning, match=said):
        assert senzai.objectives.Linear is senzai.objectives.LinearWarmup
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = senzai.objectives.Nothing
