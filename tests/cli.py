"""Calls the command line as a shell does, in this process: what it prints, and the code that it leaves with."""

from __future__ import annotations

import contextlib
import io
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema

from pipeline.cli.main import main

SCHEMAS = Path(__file__).parents[1] / "schemas" / "cli"
_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d:\d\d")
_SECONDS = re.compile(r"\b\d+\.\d+ s\b")
_DIGEST = re.compile(r"\b[0-9a-f]{64}\b")


@dataclass(frozen=True)
class Said:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str

    def json(self, schema: str) -> Any:
        """Returns stdout as JSON, checked against `schemas/cli/<schema>.json`."""
        value = json.loads(self.out)
        jsonschema.Draft202012Validator(json.loads((SCHEMAS / f"{schema}.json").read_text())).validate(value)
        return value

    def plain(self, folder: Path, runs: Sequence[str] = ()) -> str:
        """Returns stdout without what is different each time, and with columns two spaces apart."""
        text = self.out.replace(str(folder), "DIR")
        for number, run in enumerate(runs, start=1):
            text = text.replace(run, f"RUN{number}")
        text = _DIGEST.sub("DIGEST", _SECONDS.sub("SECONDS", _TIME.sub("TIME", text)))
        return "\n".join(re.sub(r"(?<=\S) {2,}", "  ", line).rstrip() for line in text.strip("\n").split("\n"))


def cauce(*words: object, root: Path | None = None) -> Said:
    """Runs `cauce WORDS`; `root` is given as `--root`."""
    out, err = io.StringIO(), io.StringIO()
    arguments = [str(word) for word in words] + (["--root", str(root)] if root is not None else [])
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main(arguments)
            code = 0
        except SystemExit as left:
            code = int(left.code or 0)
    return Said(code, out.getvalue(), err.getvalue())
