"""Where things came from, what became of them, and why: the questions that `cauce lineage`, `why`, `diff` and the lists answer.

    from pipeline.lineage import open_ledger

    ledger = open_ledger("cauce_root")
    ledger.up("serving/taxi/3")                  # what a served model was made from
    ledger.down("span:3")                        # what was made of a span, down to what is served now
    ledger.why("Trainer")
    ledger.diff("latest", "20260131-2359")
    ledger.runs("auc > 0.9 and learning_rate < 0.001", sort="-auc")

Reads the metadata store and the summaries beside the payloads; changes nothing and loads no heavy library.
"""

from pipeline.lineage.comparison import Comparison
from pipeline.lineage.explanation import Explanation, Step
from pipeline.lineage.finding import Found
from pipeline.lineage.formats import to_dot
from pipeline.lineage.graph import LIMIT, Direction, Lineage, producers, walk
from pipeline.lineage.ledger import Ledger, open_ledger
from pipeline.lineage.search import Hit
from pipeline.lineage.serving import ModelVersion
from pipeline.lineage.tables import Row, Table
from pipeline.lineage.text import text_tree

__all__ = [
    "LIMIT",
    "Comparison",
    "Direction",
    "Explanation",
    "Found",
    "Hit",
    "Ledger",
    "Lineage",
    "ModelVersion",
    "Row",
    "Step",
    "Table",
    "open_ledger",
    "producers",
    "text_tree",
    "to_dot",
    "walk",
]
