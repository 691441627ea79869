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

import lazy_loader

# What is here is listed in __init__.pyi, and loaded when it is first asked for.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
