"""A store with something of everything: each type of artifact, each state of a node, things that are damaged or gone."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
from starlette.testclient import TestClient

from components.records import write_split
from pipeline.artifacts import Artifact, ArtifactState, Property, artifact_type
from pipeline.hashing import extent
from pipeline.metadata import MetadataStore
from pipeline.records import ExecutionState, RunState
from pipeline.storage import Storage
from pipeline.ui.access import Access
from pipeline.ui.app import create_app
from pipeline.ui.site import Site
from tests.fakes import Adder, Blocking, Failing, NearDoubler, Source
from tests.project import Project
from tests.ui import summaries
from tests.ui.summaries import HOSTILE, PICTURE

LOCAL = "http://localhost"
SUMMARIES: dict[str, Any] = {
    "Examples": summaries.examples,
    "ExampleStatistics": summaries.statistics,
    "Schema": summaries.schema,
    "ExampleAnomalies": summaries.anomalies,
    "TransformGraph": summaries.transform_graph,
    "Model": summaries.model,
    "ModelRun": summaries.model_run,
    "ModelEvaluation": summaries.evaluation,
    "ModelBlessing": summaries.blessing,
    "PushedModel": summaries.pushed,
    "RetrainingDecision": summaries.decision,
    "SomethingElse": lambda: {"anything": HOSTILE},
}


@dataclass
class Showcase:
    """The store, and what is in it by name.

    Attributes:
        project: The project.
        runs: Ids of runs by what they show.
        artifacts: Numbers of artifacts by type.
    """

    project: Project
    runs: dict[str, str] = field(default_factory=dict)
    artifacts: dict[str, int] = field(default_factory=dict)

    @property
    def site(self) -> Site:
        """What is shown of it."""
        return Site(MetadataStore(self.project.url), Storage(self.project.root, create=False))

    def client(self, access: Access | None = None, base: str = LOCAL) -> TestClient:
        """A browser without a screen; errors that nobody foresaw are raised."""
        return TestClient(create_app(self.site, access), base_url=base)

    def addresses(self) -> list[str]:
        """The addresses of all pages, some of them with parameters."""
        pages = ["/runs", "/artifacts", "/models", "/schedules", "/compare", "/search", f"/search?q={HOSTILE[:8]}", "/runs?sort=seconds"]
        pages += ["/runs?state=failed&text=no", "/artifacts?type=Model", "/artifacts?where=size > 10&sort=size", "/runs?where=nonsense ("]
        for run in self.runs.values():
            pages.append(f"/runs/{run}")
            pages += [f"/runs/{run}/nodes/{node.node}" for node in self.project.store.executions_of_run(run)]
        for id in self.artifacts.values():
            pages += [f"/artifacts/{id}", f"/artifacts/{id}/lineage"]
        pages.append(f"/artifacts/{self.artifacts['SomethingElse']}/text?path=page.html")
        pages.append(f"/compare?run={self.runs['done']}&run={self.runs['cached']}")
        pages.append(f"/compare?run={self.runs['done']}&run={self.runs['cached']}&run={self.runs['failed']}")
        pages.append(f"/artifacts/{self.artifacts['ExampleStatistics']}?split=eval&text=f")
        pages.append(f"/artifacts/{self.artifacts['ModelEvaluation']}?sort=auc&order=down")
        pages.append(f"/artifacts/{self.artifacts['Examples']}?split=train&row=1")
        return list(dict.fromkeys(pages))


def make_showcase(folder: Path) -> Showcase:
    """Fills a store below a folder."""
    project = Project(folder)
    made = Showcase(project)
    source = Source()
    made.runs["done"] = project.run(NearDoubler(source)).result.run
    made.runs["cached"] = project.run(NearDoubler(Source())).result.run
    made.runs["failed"] = project.run(Failing(Source())).result.run
    made.runs["blocked"] = project.run(NearDoubler(Blocking(Source(values=(500,))))).result.run
    source = Source()
    skipped = NearDoubler(source, when=source.numbers.property("total") == 0)
    made.runs["skipped"] = project.run(Adder(source, skipped)).result.run
    _hostile_run(made)
    _running_run(made)
    _half_deleted(made)
    return made


def _hostile_run(made: Showcase) -> None:
    """A finished run whose artifacts are of every type; all its names and values mean harm."""
    store, run = made.project.store, "20260101-000000-aaaaaa"
    started = int(time.time() * 1000) - 60_000
    properties: dict[str, Property] = {
        "started": started,
        "nodes": json.dumps([*SUMMARIES]),
        "settings": json.dumps({HOSTILE: HOSTILE}),
        "definition": HOSTILE,
    }
    store.begin_run(HOSTILE, run, properties)
    previous: list[Artifact] = []
    for name, summary in SUMMARIES.items():
        shown = {
            "reasons": json.dumps([HOSTILE]),
            "parameters": json.dumps({HOSTILE: HOSTILE}),
            "given": json.dumps([HOSTILE]),
            "verdict": "blessed" if name == "ModelEvaluation" else "",
            "verdict_reasons": json.dumps([HOSTILE]),
            "log": HOSTILE,
        }
        execution = store.register(HOSTILE, run, name, f"fakes.{HOSTILE}", shown, {"input": previous} if previous else {})
        artifact = _artifact(made, name, execution, summary())
        store.publish(execution, ExecutionState.COMPLETE, {"seconds": 1.5, "peak_memory": 10_000_000}, {"output": [artifact]})
        made.artifacts[name] = artifact.id or 0
        previous = [artifact]
        log = made.project.root / "logs" / run / f"{name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(f"line\n{HOSTILE}\n\x1b[31mred\x00\n")
    store.update_run(run, {"state": RunState.DONE.value, "ended": started + 30_000, "reason": HOSTILE})
    made.runs["hostile"] = run


def _artifact(made: Showcase, name: str, execution: int, summary: dict[str, Any]) -> Artifact:
    kind = artifact_type(name)
    artifact = kind(made.project.root / "artifacts" / "hostile" / name / str(execution))
    artifact.path.mkdir(parents=True)
    artifact.write_summary(summary)
    if name == "Examples":
        artifact.set_splits(["train", "eval"])
        artifact.set_record_counts({"train": 3})
        rows = {
            "photo": pa.array([[PICTURE], [PICTURE], None], pa.list_(pa.binary())),
            HOSTILE: pa.array([[HOSTILE.encode()], [b"\xff\xfe"], [b"a", b"b"]], pa.list_(pa.binary())),
            "fare": pa.array([[1.5], None, [2.5, 3.5]], pa.list_(pa.float32())),
        }
        write_split(artifact.split_path("train"), [pa.RecordBatch.from_arrays(list(rows.values()), list(rows))])
        artifact.split_path("eval").mkdir()
    if name == "ModelEvaluation":
        (artifact.path / "worst").mkdir()
        (artifact.path / "worst" / "0.png").write_bytes(PICTURE)
    (artifact.path / "picture.svg").write_text(f"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'>{HOSTILE}</svg>")
    (artifact.path / "page.html").write_text(HOSTILE)
    (artifact.path / "passwd").symlink_to("/etc/passwd")
    artifact.name, artifact.producer, artifact.state = f"{HOSTILE}/{name}/{execution}", name, ArtifactState.LIVE
    artifact.digest, artifact.properties["note"] = f"{execution:064x}", HOSTILE
    artifact.size, artifact.files = extent(artifact.path)
    return artifact


def _running_run(made: Showcase) -> None:
    """A run that goes on, as another machine's would: nobody here may judge it dead."""
    store, run = made.project.store, "20991231-000000-bbbbbb"
    started = int(time.time() * 1000) - 5_000
    graph = {"Source": [], "Trainer": ["Source"], "Pusher": ["Trainer"]}
    store.begin_run("fake", run, {"started": started, "nodes": json.dumps([*graph]), "graph": json.dumps(graph), "host": "another"})
    store.register("fake", run, "Trainer", "fakes.Trainer", {"reasons": json.dumps(["it has not run before"])}, {})
    steps = [{"step": step, "steps": 100, "loss": 1 / step} for step in (10, 20, 40)]
    events = [
        {"event": "run_started", "run": run},
        {"event": "node_decided", "node": "Trainer", "action": "run"},
        *({"event": "node_progress", "node": "Trainer", "message": "training", "rows": None, "fields": told} for told in steps),
        {"event": "node_memory", "node": "Trainer", "bytes": 123_000_000},
    ]
    file = made.project.storage.events(run)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(event) + "\n" for event in events))
    (file.parent / "Trainer.log").write_text("begun\nstep 40\n")
    made.runs["running"] = run


def _half_deleted(made: Showcase) -> None:
    """Artifacts whose files are gone, cut off, or removed on purpose."""
    store = made.project.store
    run = "20260102-000000-cccccc"
    store.begin_run("fake", run, {"started": int(time.time() * 1000)})
    for name, what in (("gone", "SomethingElse"), ("cut", "ExampleStatistics"), ("removed", "Model"), ("strange", "ModelEvaluation")):
        execution = store.register("fake", run, name, "fakes.Any", {"reasons": "[]"}, {})
        artifact = _artifact(made, what, execution, SUMMARIES[what]())
        if name == "removed":
            artifact.state = ArtifactState.DELETED
        store.publish(execution, ExecutionState.COMPLETE, {"seconds": 0.1}, {"output": [artifact]})
        made.artifacts[name] = artifact.id or 0
        if name in ("gone", "removed"):
            shutil.rmtree(artifact.path)
        elif name == "cut":
            (artifact.path / "summary.json").write_text('{"splits": {"tr')
        else:
            (artifact.path / "summary.json").write_text('{"slices": [{"metrics": 3}], "splits": 7}')
    store.update_run(run, {"state": RunState.INTERRUPTED.value, "ended": int(time.time() * 1000), "reason": "killed"})
    made.runs["interrupted"] = run
