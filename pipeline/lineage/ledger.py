"""The ledger: all that a store and its root folder tell of the past, one method for each question.

The command line, the pages of `cauce ui` and notebooks ask it. It changes nothing.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from pipeline.artifacts import Artifact
from pipeline.config import load_settings
from pipeline.errors import UsageError
from pipeline.lineage.comparison import Comparison, Side, compare, side_of_artifact, side_of_run
from pipeline.lineage.explanation import Explanation
from pipeline.lineage.finding import Found, find, find_artifact, find_roots, find_run
from pipeline.lineage.graph import LIMIT, Direction, Lineage, walk
from pipeline.lineage.search import Hit, search
from pipeline.lineage.serving import ModelVersion, model_versions, served_now
from pipeline.lineage.tables import Question, Source, Table, Tables
from pipeline.lineage.why import explain
from pipeline.metadata import EMPTY, MetadataStore
from pipeline.records import Run
from pipeline.reports import NodeReport, nodes_of_run
from pipeline.storage import Storage


class Ledger:
    """What a store and its root folder tell.

    Args:
        store: The metadata store.
        storage: The root folder.

    Example:

        ledger = open_ledger("cauce_root")
        ledger.runs("auc > 0.9 and learning_rate < 0.001", sort="-auc")
        ledger.why("serving/taxi/3")
    """

    def __init__(self, store: MetadataStore, storage: Storage) -> None:
        self.store = store
        self.storage = storage

    def find(self, name: str) -> Found:
        """Returns the run, node, execution or artifact that a person names; see `pipeline.lineage.finding`.

        Raises:
            UsageError: If there is none.
        """
        return find(self.store, name)

    def run(self, name: str = "latest") -> Run:
        """Returns a run by its id, the start of one, or `latest`."""
        return find_run(self.store, name)

    def nodes(self, run: str = "latest") -> list[NodeReport]:
        """Returns how the nodes of a run did."""
        return nodes_of_run(self.store, self.run(run))

    def artifact(self, name: str) -> Artifact:
        """Returns an artifact by its number, `latest:TYPE`, `span:3`, or the path of a file in it or in a served model."""
        return find_artifact(self.store, name)

    def up(self, *names: str, limit: int | None = LIMIT) -> Lineage:
        """Returns what artifacts were made from; a run stands for the artifacts that it ended in."""
        return self._lineage(names, Direction.UP, limit)

    def down(self, *names: str, limit: int | None = LIMIT) -> Lineage:
        """Returns what was made from artifacts, and what of it is served now."""
        return self._lineage(names, Direction.DOWN, limit)

    def _lineage(self, names: tuple[str, ...], direction: Direction, limit: int | None) -> Lineage:
        roots = [artifact.id or 0 for name in names for artifact in find_roots(self.store, name)]
        return self.walk(roots, direction, limit=limit)

    def walk(self, roots: list[int], direction: Direction, *, limit: int | None = LIMIT, depth: int | None = None) -> Lineage:
        """Walks from artifacts by their numbers, at most `limit` executions and `depth` generations far."""
        found = walk(self.store, roots, direction, limit=limit, depth=depth)
        found.served = served_now(self.store, found)
        return found

    def why(self, name: str) -> Explanation:
        """Returns why a run, node, execution or artifact is as it is."""
        return explain(self.store, self.find(name))

    def diff(self, before: str, after: str) -> Comparison:
        """Returns what is different between two runs, or two models.

        Raises:
            UsageError: If one names nothing, or nothing that can be compared.
        """
        return compare(self.side(before), self.side(after), self.storage)

    def side(self, name: str) -> Side:
        """Returns a run, or a model with all that it was made from, as a side of a comparison."""
        found = self.find(name)
        if found.artifact is not None:
            return side_of_artifact(self.store, found.artifact)
        if found.run is not None and found.node is None:
            return side_of_run(self.store, found.run)
        raise UsageError(
            f"'{name}' is a node. Expected a run, or a model.", hint=f"Compare its run: {found.run.id if found.run else 'latest'}"
        )

    @cached_property
    def tables(self) -> Tables:
        """The columns of all runs, executions and artifacts, as they were when they were first asked for."""
        return Tables(self.store)

    def runs(self, where: str = "", *, sort: str = "", columns: tuple[str, ...] = (), limit: int | None = None) -> Table:
        """Returns the runs that meet a condition; see `pipeline.lineage.query`."""
        return _ask(Tables(self.store).runs, where, sort, columns, limit)

    def executions(self, where: str = "", *, sort: str = "", columns: tuple[str, ...] = (), limit: int | None = None) -> Table:
        """Returns the executions that meet a condition, such as `library.tensorflow = 2.16.2` or `code.features.py ~ 3f2a`."""
        return _ask(Tables(self.store).executions, where, sort, columns, limit)

    def artifacts(self, where: str = "", *, sort: str = "", columns: tuple[str, ...] = (), limit: int | None = None) -> Table:
        """Returns the artifacts that meet a condition, such as `size > 100MB and not used and age > 30d`."""
        return _ask(Tables(self.store).artifacts, where, sort, columns, limit)

    def search(self, text: str, *, limit: int = 50) -> list[Hit]:
        """Returns what has a text in its id, name, path or digest."""
        return search(self.store, text, limit=limit)

    def models(self) -> list[ModelVersion]:
        """Returns the versions in all folders that models were pushed to, oldest first, folder by folder."""
        return model_versions(self.store)


def open_ledger(root: str | Path | None = None, *, metadata: str | None = None, start: Path | None = None) -> Ledger:
    """Opens the ledger of a root folder for reading.

    Args:
        root: The root folder. Default: that of the project in the working folder, as for the command line.
        metadata: URL of the metadata store. Default: the one that belongs to the root.
        start: Where to look for the project. Default: the working folder.

    Raises:
        MetadataError: If the store cannot be opened.
    """
    settings = load_settings(start or Path.cwd(), {"root": None if root is None else str(root), "metadata": metadata})
    url = settings.metadata_url
    missing = url.startswith("sqlite:") and not Path(url.removeprefix("sqlite://")).exists()
    return Ledger(MetadataStore(EMPTY if missing else url), Storage(settings.root_path, create=False))


def _ask(source: Source, where: str, sort: str, columns: tuple[str, ...], limit: int | None) -> Table:
    return source.answer(Question(where, sort, columns, limit))
