"""A copy of the examples' project in a temporary folder, where commands are typed as the READMEs show them."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.cli import Said

REPOSITORY = Path(__file__).parents[2]
_SECONDS = 200
_DATA = {
    "taxi": "taxi/span-1/trips.csv",
    "bikes": "bikes/hour.csv",
    "penguins": "penguins/penguins.csv",
    "signs": "signs/signs.tar.gz",
    "spam": "sms_spam/sms.tsv",
    "air_quality": "air_quality/beijing_pm25.csv",
    "spoken_digits": "spoken_digits/recordings.tar.gz",
    "cifar10": "README.md",
}
"""What of `data/` an example reads; that of cifar10 is not part of the repository."""


class ExampleProject:
    """One example with its data and schema, in a folder of its own.

    Args:
        name: The example.
        folder: An empty folder.
    """

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder
        self.root = folder / "cauce_root"
        self.serving = folder / "serving" / name
        for part in ("cauce.toml", f"examples/{name}", f"schemas/{name}.pbtxt", f"data/{_DATA[name]}"):
            (folder / part).parent.mkdir(parents=True, exist_ok=True)
            copy = shutil.copytree if (REPOSITORY / part).is_dir() else shutil.copyfile
            copy(REPOSITORY / part, folder / part)
        self._command("cauce", "-m pipeline")
        self._command("python", "")

    @property
    def data(self) -> Path:
        """The file that the example reads."""
        return self.folder / "data" / _DATA[self.name]

    @property
    def features(self) -> Path:
        """The example's `features.py`."""
        return self.folder / "examples" / self.name / "features.py"

    @property
    def environment(self) -> dict[str, str]:
        """The environment of commands: `cauce` is on the path, and no setting is given."""
        own = {name: value for name, value in os.environ.items() if not name.startswith(("CAUCE_", "COLUMNS", "TF_CPP"))}
        return {**own, "PATH": f"{self.folder / 'bin'}:{own['PATH']}", "PYTHONPATH": str(REPOSITORY)}

    def shell(self, command: str, *, seconds: float = _SECONDS, **environment: str) -> Said:
        """Runs a command line in the project's folder, for at most some seconds."""
        done = subprocess.run(
            command,
            shell=True,
            cwd=self.folder,
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        return Said(done.returncode, done.stdout, done.stderr)

    def cauce(self, *words: object, **environment: str) -> Said:
        """Runs `cauce WORDS`."""
        return self.shell(shlex.join(["cauce", *map(str, words)]), **environment)

    def run(self, *options: object, **environment: str) -> Said:
        """Runs the example's pipeline."""
        return self.cauce("run", f"examples/{self.name}", *options, **environment)

    def states(self, run: str = "latest") -> dict[str, str]:
        """Returns how each node did."""
        return {node["id"]: node["state"] for node in self.nodes(run)}

    def nodes(self, run: str = "latest") -> list[dict[str, Any]]:
        """Returns what is recorded of the nodes of a run."""
        nodes: list[dict[str, Any]] = self.cauce("runs", "show", run, "--json").json("runs-show")["nodes"]
        return nodes

    def live(self, kind: str) -> list[dict[str, Any]]:
        """Returns the live artifacts of a type, oldest first."""
        found = self.cauce("artifacts", "list", "--type", kind, "--json").json("artifacts-list")
        return [artifact for artifact in found if artifact["state"] == "LIVE"]

    def only(self, kind: str) -> Path:
        """Returns the folder of the first artifact of a type."""
        return Path(self.live(kind)[0]["uri"])

    def versions(self) -> list[str]:
        """Returns what lies in the folder that the example's model is served from."""
        return sorted(path.name for path in self.serving.iterdir()) if self.serving.exists() else []

    def _command(self, name: str, arguments: str) -> None:
        """Puts a command on the path of the project."""
        file = self.folder / "bin" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {arguments} "$@"\n')
        file.chmod(0o755)
