"""Every command says what it does, shows an example and can print JSON; a wrong word is told with the one that was meant."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest

from pipeline.cli.main import COMMANDS
from pipeline.cli.main import cauce as group
from tests.cli import SCHEMAS, cauce


def commands(above: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yields the words of each command that is no group."""
    context = click.Context(above)
    for name in above.list_commands(context):
        command = above.get_command(context, name)
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name)


ALL = list(commands(group))


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_a_command_explains_itself_with_an_example_and_prints_json(words: tuple[str, ...]) -> None:
    said = cauce(*words, "--help")
    assert (said.code, said.err) == (0, "")
    assert "\n  Example" in said.out
    assert f"    cauce {' '.join(words)}" in said.out or f"    cauce {words[0]}" in said.out
    assert "--json" in said.out
    assert (SCHEMAS / f"{'-'.join(words)}.json").is_file()


@pytest.mark.parametrize("noun", [name for name in COMMANDS if sum(words[0] == name for words in ALL) > 1])
def test_a_group_lists_its_verbs_and_shows_an_example(noun: str) -> None:
    said = cauce(noun, "--help")
    assert said.code == 0
    assert "\n  Example" in said.out
    for words in ALL:
        assert words[0] != noun or f"\n  {words[1]} " in said.out


def test_help_lists_every_command_with_the_first_line_of_its_help() -> None:
    said = cauce("--help")
    assert said.code == 0
    for name, (_, _, text) in COMMANDS.items():
        assert f"\n  {name} " in said.out
        assert text in said.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("rnus",), "There is no command 'rnus'. Did you mean 'runs'?"),
        (("runs", "shw"), "There is no command 'shw'. Did you mean 'show'?"),
        (("models", "rolback"), "There is no command 'rolback'. Did you mean 'rollback'?"),
        (("runs", "--jsn"), "No such option"),
    ],
)
def test_a_wrong_word_is_told_with_what_was_meant(words: tuple[str, ...], message: str) -> None:
    said = cauce(*words)
    assert (said.code, said.out) == (2, "")
    assert message in said.err
