"""Runs TFX's own taxi example once and writes the seconds of its import and of each component as JSON.

Started with the interpreter that `install.py` makes, in a process of its own:

    TF_USE_LEGACY_KERAS=1 .bench/tfx/bin/python benchmarks/peer/run_taxi.py --data FOLDER --root FOLDER --report FILE
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

BEAM_ARGS = ("--direct_running_mode=in_memory",)


def time_components(seconds: dict[str, float]) -> None:
    """Makes TFX's launcher record in `seconds` how long each component takes, driver and publisher included."""
    from tfx.orchestration.portable.launcher import Launcher

    launch = Launcher.launch

    def timed(self: Any) -> Any:
        start = time.perf_counter()
        try:
            return launch(self)
        finally:
            seconds[self._pipeline_node.node_info.id] = time.perf_counter() - start

    Launcher.launch = timed


def run(data: Path, root: Path) -> dict[str, Any]:
    """Runs the pipeline on the CSV files in `data`; a second call with the same `root` finds everything in TFX's cache."""
    start = time.perf_counter()
    from tfx.examples.chicago_taxi_pipeline import taxi_pipeline_native_keras as example
    from tfx.orchestration.local.local_dag_runner import LocalDagRunner

    imported = time.perf_counter() - start
    components: dict[str, float] = {}
    time_components(components)
    pipeline = example._create_pipeline(
        pipeline_name="taxi",
        pipeline_root=str(root / "pipeline"),
        data_root=str(data),
        module_file=str(Path(example.__file__).with_name("taxi_utils_native_keras.py")),
        serving_model_dir=str(root / "serving"),
        metadata_path=str(root / "metadata.db"),
        beam_pipeline_args=list(BEAM_ARGS),
    )
    LocalDagRunner().run(pipeline)
    return {"import": imported, "components": components}


def main() -> None:
    """Reads the arguments, runs, and writes the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("data", "root", "report"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    arguments = parser.parse_args()
    arguments.root.mkdir(parents=True, exist_ok=True)
    report = run(arguments.data.resolve(), arguments.root.resolve())
    arguments.report.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
