"""The catalog with plug-ins: which are found, when they are imported, and how each wrong one is refused."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from interpreter import catalog
from interpreter.errors import UsageError
from interpreter.project import load_project
from interpreter.run.environment import about, plugins
from tests.plans import NUMERICS

LINE = 'Line("dataset", "rings", "rings_config:Rings", "rings_build:build", "rings")'
CONFIG = """
from typing import Any, ClassVar, Literal
from interpreter.spec.components.contract import DataFacts, Dataset, Model, Objective
class Rings(Dataset):
    type: Literal["rings"] = "rings"
    source: Literal["embedded"] = "embedded"
    def facts(self): return DataFacts(("train",), (2, 1, 1), 2, "classification", "rings")
    def measured(self, split): return {"split": split}
"""


class Folder:
    """A folder on sys.path, to write modules in."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def module(self, name: str, text: str) -> None:
        file = self.path.joinpath(*name.split(".")).with_suffix(".py")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")

    def plugin(self, name: str, *lines: str) -> None:
        self.module(name, f"from interpreter.catalog import Line\nLINES = ({''.join(f'{line}, ' for line in lines)})\n")

    def install(self, package: str, version: str, point: str) -> None:
        """What an installed package leaves beside its modules, in so far as it announces a plug-in."""
        info = self.path / f"{package.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[expt.parts]\n{point}\n")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of modules; what a test imported from it is forgotten, and the catalog as it was."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield Folder(tmp_path)
    catalog.use(["forget"])
    catalog.use([])
    for name in set(sys.modules) - before:
        where = (getattr(sys.modules[name], "__file__", ""), *getattr(sys.modules[name], "__path__", ()))
        if any(str(tmp_path) in str(path) for path in where):
            del sys.modules[name]


def refused(kind: str = "dataset", type_: str = "rings", what=catalog.find) -> UsageError:
    with pytest.raises(UsageError) as caught:
        what(kind, type_)
    assert caught.value.hint
    return caught.value


def test_a_listed_plugin_offers_its_types_and_imports_nothing_before_it_must(folder):
    folder.plugin("rings", LINE)
    folder.module("rings_config", CONFIG)
    folder.module("rings_build", "def build(config, source, cache): return 'built'")
    assert catalog.find("dataset", "rings") is None
    catalog.use(["rings"])
    assert "rings" not in sys.modules
    line = catalog.find("dataset", "rings")
    assert (line.config, line.summary) == ("rings_config:Rings", "rings")
    assert catalog.built("dataset", "rings") is True
    assert catalog.types("dataset")[-1] == "rings"
    assert "rings" not in catalog.types("model")
    assert "rings_config" not in sys.modules
    assert catalog.config_class("dataset", "rings")().facts().shape == (2, 1, 1)
    assert "rings_build" not in sys.modules
    assert catalog.builder("dataset", "rings")(None, None, None) == "built"
    assert catalog.plugins_of("dataset", {"type": "rings"}) == {"rings"}
    assert catalog.plugins_of("dataset", {"type": "digits"}) == catalog.plugins_of("dataset", {"type": "nothing"}) == set()
    catalog.use([])
    assert catalog.find("dataset", "rings") is None
    with pytest.raises(KeyError):
        catalog.config_class("dataset", "rings")


def test_an_installed_plugin_is_found_without_being_listed_and_read_only_when_asked_for(folder):
    folder.plugin("rings", LINE)
    folder.install("lab-rings", "2.5", "anything = rings")
    catalog.use(["forget"])
    catalog.use([])
    assert catalog.find("dataset", "digits").type == "digits"
    assert "rings" not in sys.modules
    assert catalog.find("dataset", "rings").builder == "rings_build:build"
    folder.module("rings_config", CONFIG)
    assert plugins({"data": {"type": "rings"}})["plugins"] == {"lab-rings": "2.5"}


def test_listed_and_installed_is_one_plugin(folder):
    folder.plugin("rings", LINE)
    folder.install("lab-rings", "2.5", "anything = rings")
    catalog.use(["rings"])
    assert catalog.types("dataset").count("rings") == 1


def test_a_plugin_that_is_not_here(folder):
    catalog.use(["no_such.module"])
    error = refused(type_="digits")  # whatever is asked for: the project depends on it
    assert str(error) == "plug-in `no_such.module` is not here: there is no module of that name"
    assert "PYTHONPATH" in error.hint


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import no_such_dependency", "ModuleNotFoundError: No module named 'no_such_dependency' (PLACE, line 1)"),
        ("\n1 / 0", "ZeroDivisionError: division by zero (PLACE, line 2)"),
        ("raise SystemExit(3)", "SystemExit: 3 (PLACE, line 1)"),
        ("raise RuntimeError", "RuntimeError (PLACE, line 1)"),
        ("raise ValueError('first\\nsecond')", "ValueError: first (PLACE, line 1)"),
        ("def (", "SyntaxError: invalid syntax (rings.py, line 1)"),
    ],
)
def test_a_plugin_whose_import_fails_is_told_in_one_line(folder, text, reason):
    folder.module("rings", text)
    catalog.use(["rings"])
    place = str(folder.path / "rings.py")
    assert str(refused()) == f"plug-in `rings` can't be imported: {reason.replace('PLACE', place)}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "plug-in `rings` has no LINES"),
        ("LINES = ()", "plug-in `rings`: LINES is not a tuple of lines"),
        ("LINES = [1]", "plug-in `rings`: LINES is not a tuple of lines"),
        ("LINES = ('dataset',)", "plug-in `rings`: line 1 of LINES is not a Line but str"),
        ("LINES = (GOOD, Line('dataset', 3, 'a:b', 'a:b', 's'))", "line 2 of LINES has a `type` that is no text: 3"),
        (
            "LINES = (Line('schedule', 'rings', 'a:b', 'a:b', 's'),)",
            "is of the kind `schedule`, and kinds are dataset, model, ob",
        ),
        ("LINES = (Line('model', 'Rings', 'a:b', 'a:b', 's'),)", "has the type `Rings`: types are small letters"),
        ("LINES = (Line('model', 'rings', 'a.b', 'a:b', 's'),)", 'has the config `a.b`, which is not "module:name"'),
        ("LINES = (Line('model', 'rings', 'a:b', '', 's'),)", 'has the builder ``, which is not "module:name"'),
        ("LINES = (Line('model', 'rings', 'a:b', 'a:b', ' '),)", "line 1 of LINES has no summary"),
        ("LINES = (GOOD, GOOD)", "plug-in `rings` defines the dataset `rings` twice"),
        ("LINES = (Line('model', 'mlp', 'a:b', 'a:b', 's'),)", "plug-in `rings` redefines the model `mlp`, which is built in"),
    ],
)
def test_lines_that_are_wrong(folder, text, said):
    folder.module("rings", f"from interpreter.catalog import Line\nGOOD = {LINE}\n{text}\n")
    catalog.use(["rings"])
    assert said in str(refused(type_="digits"))


def test_two_plugins_with_one_type(folder):
    folder.plugin("rings", LINE)
    folder.plugin("lab.circles", LINE)
    catalog.use(["rings", "lab.circles"])
    assert str(refused()) == "plug-in `lab.circles` defines the dataset `rings` and so does plug-in `rings`"


def test_an_entry_point_that_names_no_module(folder):
    folder.install("lab-rings", "2.5", "anything = rings:LINES")
    assert str(refused()) == (
        "the entry point `anything = rings:LINES` of lab-rings in the group expt.parts does not name a module"
    )


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("", "raise OSError('no')\n", "its config class rings_config:Rings can't be imported: OSError: no (PLACE, line 1)"),
        ("class Rings(", "class Circles(", "can't be imported: AttributeError: module 'rings_config' has no attribute 'Rings'"),
        ("(Dataset)", "(Model)", "does not extend interpreter.spec.components.contract.Dataset, as that of a dataset must"),
        ("    source", "    model_config = {'extra': 'ignore'}\n    source", "is not strict: leave `model_config`"),
        ("    source", "    model_config = {'strict': False}\n    source", "is not strict: leave `model_config`"),
        ("    source", "    model_config = {'frozen': False}\n    source", "is not strict: leave `model_config`"),
        ("    source", "    model_config = {'allow_inf_nan': True}\n    source", "is not strict: leave `model_config`"),
        ('type: Literal["rings"] = "rings"', "type: str", 'does not say its type: write `type: Literal["rings"] = "rings"`'),
        ('type: Literal["rings"] = "rings"', 'type: Literal["ring"] = "ring"', "does not say its type"),
        ("    source", "    component_version: ClassVar[int] = 0\n    source", "has the component_version 0, which must be"),
        ("def facts", "def fact", "has no method `facts`"),
        ("def measured", "def measure", "has no method `measured`"),
    ],
)
def test_config_classes_that_are_wrong(folder, old, new, said):
    folder.plugin("rings", LINE)
    folder.module("rings_config", CONFIG.replace(old, new, 1))
    catalog.use(["rings"])
    text = str(refused(what=catalog.config_class))
    assert text.startswith("plug-in `rings`: ")
    assert said.replace("PLACE", str(folder.path / "rings_config.py")) in text


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("metrics: ClassVar[tuple[str, ...]] = ('loss',)", "does not say its `task`"),
        ("task: ClassVar[str] = 'classification'", "does not say its `metrics`"),
        (
            "task: ClassVar[str] = 'x'\n    metrics: ClassVar[tuple[str, ...]] = ('loss', 'luck')",
            "has metrics that nobody knows: luck",
        ),
    ],
)
def test_objectives_that_are_wrong(folder, body, said):
    folder.plugin("rings", 'Line("objective", "rings", "rings_config:Odd", "rings_build:build", "odd")')
    folder.module("rings_config", f'{CONFIG}\nclass Odd(Objective):\n    type: Literal["rings"] = "rings"\n    {body}\n')
    catalog.use(["rings"])
    assert said in str(refused("objective", what=catalog.config_class))


def test_builders_that_are_wrong(folder):
    folder.plugin("rings", LINE)
    folder.module("rings_build", "import no_such_dependency\n")
    catalog.use(["rings"])
    assert "its builder rings_build:build can't be imported: ModuleNotFoundError" in str(refused(what=catalog.builder))
    folder.module("rings_build", "build = 3\n")
    assert str(refused(what=catalog.builder)) == "plug-in `rings`: the builder rings_build:build is not a function"


def test_attempts_record_the_plugins_that_a_stage_uses_and_no_others(folder):
    from interpreter.run.environment import Numerics

    folder.module("lab.__init__", "__version__ = '0.3'\n")
    folder.plugin("lab.rings", LINE)
    folder.module("rings_config", CONFIG)
    catalog.use(["lab.rings"])
    numerics = Numerics(**NUMERICS)
    used = about(numerics, {"data": {"type": "rings"}, "model": {"type": "mlp"}})["environment"]
    assert used["plugins"] == {"lab": "0.3"}
    source = used["plugin_sources"]["lab"]
    assert len(source) == 16
    assert plugins({"data": {"type": "shifted", "of": {"type": "rings"}}})["plugins"] == {"lab": "0.3"}
    unused = about(numerics, {"data": {"type": "digits"}, "model": {"type": "mlp"}})["environment"]
    assert "plugins" not in unused
    assert "plugin_sources" not in unused


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ('plugins = "rings"', "plugins must be a list of module names in quotes, got 'rings'"),
        ("plugins = [3]", "plugins are names of modules, such as my_package or lab.parts, not 3"),
        ('plugins = ["rings:LINES"]', "not 'rings:LINES'"),
        ('plugins = ["my-rings"]', "not 'my-rings'"),
        ('plugins = ["../rings"]', "not '../rings'"),
        ('plugins = [""]', "not ''"),
        ('plugins = ["rings", "lab.rings", "rings"]', "plugins names rings twice"),
    ],
)
def test_plugins_of_expt_toml_that_are_wrong(tmp_path, written, said):
    (tmp_path / "expt.toml").write_text(written)
    with pytest.raises(UsageError) as caught:
        load_project(tmp_path)
    assert said in str(caught.value)


def test_plugins_of_expt_toml_in_order(tmp_path):
    (tmp_path / "expt.toml").write_text('plugins = ["rings", "lab.rings"]\n[run]\njobs = 1\n')
    assert load_project(tmp_path).plugins == ("rings", "lab.rings")
    assert load_project(tmp_path).execution.jobs == 1
