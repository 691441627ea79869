"""The documentation exists for each command, option, component, parameter, setting and exit code, and what it shows is so."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import pytest

import components
import pipeline
from pipeline import errors
from pipeline.artifacts import Artifact
from pipeline.cli.main import cauce
from pipeline.component import Component, Input, Output, spec_of
from pipeline.config import NAMES
from pipeline.loading import load_definition
from tests.cli import SCHEMAS
from tests.sessions import plain, sessions

REPOSITORY = Path(__file__).parents[1]
PAGES = sorted(
    [
        *REPOSITORY.glob("*.md"),
        *REPOSITORY.glob("docs/*.md"),
        *REPOSITORY.glob("examples/*/*.md"),
        *REPOSITORY.glob("data/*.md"),
        *REPOSITORY.glob("pipeline/cli/template/*.md"),
    ]
)
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)


def _name(page: Path) -> str:
    return str(page.relative_to(REPOSITORY))


def _generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", REPOSITORY / "docs" / "generate.py")
    if spec is None or spec.loader is None:
        raise ImportError("docs/generate.py is missing")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GENERATOR = _generator()
COMMANDS: dict[str, click.Command] = dict(GENERATOR.commands())


@pytest.mark.parametrize("page", GENERATOR.PAGES)
def test_generated_page_is_up_to_date(page: str) -> None:
    assert (REPOSITORY / "docs" / page).read_text() == GENERATOR.PAGES[page](), "type: python docs/generate.py"


def test_generated_pages_have_every_component_and_command() -> None:
    classes = {name for name in components.__all__ if issubclass(getattr(components, name), Component)}
    assert set(GENERATOR.COMPONENTS) == classes
    assert {name.split()[1] for name in COMMANDS if name != "cauce"} == set(cauce.list_commands(click.Context(cauce)))


@pytest.mark.parametrize("path", COMMANDS)
def test_command_says_what_it_does_with_an_example_and_each_option_what_it_means(path: str) -> None:
    command = COMMANDS[path]
    assert command.help
    if path != "cauce":
        assert f"  {path}" in command.help or f" {path} " in command.help
    for option in command.params:
        assert not isinstance(option, click.Option) or option.help, f"{path} {option.opts}"


def test_json_of_each_command_has_a_schema() -> None:
    printing = {path for path, command in COMMANDS.items() if any(option.name == "as_json" for option in command.params)}
    assert {file.stem for file in SCHEMAS.glob("*.json")} == {"-".join(path.split()[1:]) for path in printing}


@pytest.mark.parametrize("name", GENERATOR.COMPONENTS)
def test_component_says_what_each_input_output_and_parameter_is(name: str) -> None:
    kind = getattr(components, name)
    said = GENERATOR.sections(kind)
    spec = spec_of(kind)
    for section, declared in (("Inputs", spec.inputs), ("Outputs", spec.outputs), ("Args", spec.parameters)):
        texts = GENERATOR.items(said.get(section, ""))
        undocumented = [item for item in declared if not texts.get(item)]
        assert undocumented == [], section
        assert set(texts) <= set(declared), section


@pytest.mark.parametrize("setting", NAMES)
def test_setting_is_documented_with_its_flag_and_variable(setting: str) -> None:
    text = (REPOSITORY / "docs" / "running.md").read_text()
    flag = f"--{setting.removesuffix('s').replace('_', '-')}"
    (row,) = [line for line in text.splitlines() if f"`CAUCE_{setting.upper()}`" in line]
    assert f"`{flag}`" in row
    assert any(flag in option.opts for option in COMMANDS["cauce run"].params)


def test_every_exit_code_is_documented() -> None:
    raised = {kind.exit_code for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.CauceError)}
    table = (REPOSITORY / "docs" / "running.md").read_text().partition("| exit code |")[2].partition("\n\n")[0]
    documented = {int(code) for code in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)}
    assert documented == {0, 3, 4} | raised
    assert {int(code) for code in re.findall(r"\b(\d+) [a-z]", str(cauce.help).partition("Exit codes:")[2])} == documented


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", _FENCE.sub("", page.read_text())):
        path, _, anchor = target.partition("#")
        if "://" in target:
            continue
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), target
        assert not anchor or anchor in _anchors(linked), target


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_no_page_names_a_path_of_the_machine_that_it_was_written_on(page: Path) -> None:
    assert re.findall(r"(?<![\w.:/])/(?:home|root|tmp|work|Users|mnt|opt)\b\S*", page.read_text()) == []


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_command_that_a_page_shows_exists_with_its_options(page: Path) -> None:
    for text in _commands_in(page.read_text()):
        words = shlex.split(re.sub(r"\[[A-Z].*?\]", "", text), comments=True)
        command, path = COMMANDS["cauce"], "cauce"
        for word in words[1:]:
            if isinstance(command, click.Group) and word.islower() and not word.startswith("-"):
                default = getattr(command, "default", None)  # `cauce lineage NAME` is `cauce lineage show NAME`
                path = f"{path} {default if default and f'{path} {word}' not in COMMANDS else word}"
                assert path in COMMANDS, text
                command = COMMANDS[path]
            elif word.startswith("--"):
                known = {option for parameter in _options(path) for option in parameter.opts}
                assert word.partition("=")[0] in known, text


def _options(path: str) -> list[click.Parameter]:
    """The options of a command; a group without a verb lists."""
    below = COMMANDS.get(f"{path} list") or COMMANDS.get(f"{path} show")
    return [*COMMANDS[path].params, *(below.params if below else []), click.Option(["--help"])]


def _commands_in(text: str) -> list[str]:
    fenced = [line for kind, body in _FENCE.findall(text) for line in body.splitlines() if kind in ("", "console", "sh")]
    typed = [re.sub(r"^\$ ", "", line) for line in fenced] + re.findall(r"`([^`\n]+)`", _FENCE.sub("", text))
    parts = [part.strip() for line in typed for part in re.split(r"\||&&|;", line)]
    return [part for part in parts if re.match(r"cauce [a-z-]", part)]


def test_readme_shows_the_help_that_the_command_prints() -> None:
    (step,) = sessions(REPOSITORY / "README.md")["help"]
    assert step.command == "cauce --help"
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "COLUMNS": "80"}
    command = [sys.executable, "-m", "pipeline", "--help"]
    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60)
    assert step.printed == plain(said.stdout)


def test_pipeline_of_the_readme_is_the_taxi_example(tmp_path: Path) -> None:
    blocks = [body for kind, body in _FENCE.findall((REPOSITORY / "README.md").read_text()) if kind == "python"]
    file = tmp_path / "definition.py"
    file.write_text(blocks[0])
    shown, example = (load_definition(path).pipeline for path in (file, REPOSITORY / "examples" / "taxi"))
    assert {node.id: node.parameters for node in shown.nodes} == {node.id: node.parameters for node in example.nodes}
    assert [_edges(node) for node in shown.nodes] == [_edges(node) for node in example.nodes]


def _edges(node: Component) -> dict[str, list[str]]:
    return {name: [str(channel) for channel in channels] for name, channels in node.inputs.items()}


class Report(Artifact):
    """A type of the reader's own."""


@pytest.mark.parametrize("page", [page for page in PAGES if page.parent.name == "docs"], ids=_name)
def test_python_in_the_guides_is_right(page: Path) -> None:
    names = _names()
    for kind, body in _FENCE.findall(page.read_text()):
        if kind == "python":
            code = compile(body, _name(page), "exec")
            if "import keras" not in body and "import tensorflow" not in body:
                exec(code, names)


def _names() -> dict[str, Any]:
    """What the guides' examples take for granted: the components, and the nodes of a usual pipeline."""
    names: dict[str, Any] = {"Input": Input, "Output": Output, "Report": Report, "Pipeline": pipeline.Pipeline, "__name__": "guide"}
    names |= {name: getattr(components, name) for name in components.__all__}
    names |= {name: getattr(components.trainer, name) for name in components.trainer.__all__}
    names |= {name: getattr(pipeline.artifacts, name) for name in ("Examples", "ExampleStatistics", "Model", "Schema")}
    nodes = {node.id: node for node in load_definition(REPOSITORY / "examples" / "taxi").pipeline.nodes}
    names |= {"examples": nodes["CsvExampleGen"], "statistics": nodes["StatisticsGen"], "schema": nodes["ImportSchema"]}
    names |= {"transform": nodes["Transform"], "trainer": nodes["Trainer"], "champion": nodes["Resolver"].model}
    return names | {"evaluator": nodes["Evaluator"], "pusher": nodes["Pusher"], "validator": nodes["ExampleValidator"]}
