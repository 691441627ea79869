from .comparison import Comparison
from .explanation import Explanation, Step
from .finding import Found
from .formats import to_dot
from .graph import LIMIT, Direction, Lineage, producers, walk
from .ledger import Ledger, open_ledger
from .search import Hit
from .serving import ModelVersion
from .tables import Row, Table
from .text import text_tree

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
