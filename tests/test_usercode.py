"""References to user code, and the local modules that it depends on."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pipeline.errors import DefinitionError, UserCodeError
from pipeline.usercode import CodeReference, load_function, load_module, local_files, package_files
from tests.project import Project


def names(project: Project, *files: Path) -> list[str]:
    return [file.relative_to(project.folder).as_posix() for file in files]


@pytest.mark.parametrize(
    ("text", "module", "function"),
    [
        ("features:preprocessing_fn", "features", "preprocessing_fn"),
        ("model", "model", None),
        ("lib.model:run_fn", "lib.model", "run_fn"),
        ("lib/model.py:run_fn", "lib.model", "run_fn"),
    ],
)
def test_reference_is_module_and_function(text: str, module: str, function: str | None) -> None:
    assert CodeReference.parse(text) == CodeReference(module, function)


@pytest.mark.parametrize("text", ["", ":run", "my model:run", "/home/me/model.py:run", "../model:run"])
def test_what_is_no_module_is_refused(text: str) -> None:
    with pytest.raises(DefinitionError, match="Expected user code as 'module:function'"):
        CodeReference.parse(text)


def test_function_is_loaded_from_the_first_folder_that_has_its_module(project: Project) -> None:
    project.write("a/rules_one.py", "def apply():\n    return 'a'\n")
    project.write("b/rules_one.py", "def apply():\n    return 'b'\n")
    project.write("b/rules_two.py", "from rules_one import apply\n")
    folders = [project.folder / "a", project.folder / "b"]
    assert load_function("rules_one:apply", folders)() == "a"
    assert load_function("rules_two", folders, default="apply")() == "a"


def test_module_of_a_package_is_loaded(project: Project) -> None:
    project.write("rules_package/__init__.py", "")
    project.write("rules_package/inner.py", "def apply():\n    return 5\n")
    assert load_function("rules_package.inner:apply", [project.folder])() == 5


def test_missing_module_names_the_places_that_were_looked_at(project: Project) -> None:
    with pytest.raises(DefinitionError) as raised:
        load_function("featuers:fn", [project.folder / "a", project.folder])
    assert str(raised.value) == (
        f"There is no user module 'featuers'. Expected one of: {project.folder}/a/featuers.py, {project.folder}/featuers.py."
    )


def test_missing_function_suggests_one_that_is_there(project: Project) -> None:
    project.write("rules_three.py", "def preprocessing_fn():\n    pass\n")
    with pytest.raises(DefinitionError, match=r"rules_three\.py has no function 'preprocesing_fn'\. Did you mean 'preprocessing_fn'\?"):
        load_function("rules_three:preprocesing_fn", [project.folder])


def test_error_at_import_names_file_and_line_and_leaves_no_half_module(project: Project) -> None:
    project.write("rules_four.py", "x = 1\nraise ValueError('broken')\n")
    with pytest.raises(UserCodeError, match=r"rules_four\.py cannot be imported: ValueError: broken \(line 2\)"):
        load_function("rules_four:fn", [project.folder])
    assert "rules_four" not in sys.modules


@pytest.mark.parametrize("name", ["queue", "json", "zlib", "pytest"])
def test_file_that_a_library_would_shadow_is_refused_by_name(project: Project, name: str) -> None:
    file = project.write(f"{name}.py", "def fn():\n    pass\n")
    with pytest.raises(DefinitionError) as raised:
        load_function(f"{name}:fn", [project.folder])
    assert f"{file} cannot be loaded: 'import {name}' would load " in str(raised.value)
    assert "Rename the file." in str(raised.value)


def test_the_same_file_is_loaded_once(project: Project) -> None:
    file = project.write("rules_five.py", "")
    assert load_module("rules_five", file) is load_module("rules_five", file)


def test_local_files_follow_imports_of_every_form(project: Project) -> None:
    project.write("features.py", "import json\nimport helper\nfrom package import inner\nfrom package.deep import fn\n")
    project.write("helper.py", "def late():\n    if True:\n        import late_helper\n")
    project.write("late_helper.py", "")
    project.write("package/__init__.py", "from . import sibling\n")
    project.write("package/sibling.py", "")
    project.write("package/inner.py", "from .sibling import x\nfrom ..outside import y\n")
    project.write("package/deep/__init__.py", "from ..nephew import fn\n")
    project.write("package/nephew.py", "")
    project.write("unused.py", "")
    found = local_files(project.folder / "features.py", [project.folder])
    assert names(project, *found) == [
        "features.py",
        "helper.py",
        "late_helper.py",
        "package/__init__.py",
        "package/deep/__init__.py",
        "package/inner.py",
        "package/nephew.py",
        "package/sibling.py",
    ]


def test_imports_in_every_kind_of_block_are_found(project: Project) -> None:
    text = """
    try:
        import one
    except ImportError:
        import two
    else:
        import three
    finally:
        import four
    with open("x") as f:
        import five
    while True:
        import six
    class A:
        import seven
    match 1:
        case 1:
            import eight
    async def g():
        async with g() as y:
            import nine
    """
    project.write("blocks.py", text)
    for name in ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine"):
        project.write(f"{name}.py", "")
    assert len(local_files(project.folder / "blocks.py", [project.folder])) == 10


def test_modules_that_import_each_other_are_found_once(project: Project) -> None:
    project.write("first.py", "import second\n")
    project.write("second.py", "import first\n")
    assert names(project, *local_files(project.folder / "first.py", [project.folder])) == ["first.py", "second.py"]


def test_cauce_itself_is_never_the_users_even_in_a_checkout(project: Project) -> None:
    project.write("components/__init__.py", "")
    project.write("components/trainer.py", "")
    project.write("pipeline/__init__.py", "")
    project.write("model.py", "from components.trainer import ModelContext\nimport pipeline\n")
    assert names(project, *local_files(project.folder / "model.py", [project.folder])) == ["model.py"]


def test_changed_imports_are_read_anew(project: Project) -> None:
    file = project.write("features.py", "import one\n")
    project.write("one.py", "")
    project.write("two.py", "")
    assert names(project, *local_files(file, [project.folder])) == ["features.py", "one.py"]
    project.write("features.py", "import two\n")
    assert names(project, *local_files(file, [project.folder])) == ["features.py", "two.py"]


def test_syntax_error_in_user_code_names_the_line(project: Project) -> None:
    file = project.write("features.py", "x = 1\ndef f(:\n")
    with pytest.raises(UserCodeError, match=r"features\.py, line 2: invalid syntax"):
        local_files(file, [project.folder])


def test_module_of_a_package_is_known_with_what_it_imports_however_that_is_written(tmp_path: Path) -> None:
    package = tmp_path / "kit"
    (package / "inner").mkdir(parents=True)
    for name in ("__init__", "a", "b", "c", "d", "e", "f", "unused", "inner/__init__", "inner/g"):
        (package / f"{name}.py").write_text("")
    (package / "__init__.py").write_text("from kit import unused\n")
    (package / "component.py").write_text(
        "import json; import kit.a as first, kit.b\n"
        "from kit import (  # two of them\n    c,\n    d as fourth,\n)\n"
        "from . \\\n    import e\n"
        "def late():\n    if True: from kit.inner.g import anything\n"
    )
    (package / "a.py").write_text("from .f import *\n")
    found = [file.relative_to(package).as_posix() for file in package_files(package / "component.py", package)]
    assert found == ["a.py", "b.py", "c.py", "component.py", "d.py", "e.py", "f.py", "inner/__init__.py", "inner/g.py"]
