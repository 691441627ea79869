"""Which node may start when: the barrier, priorities, and what a failure or a block means for the others."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from pipeline.component import Component
from pipeline.definition import Pipeline
from pipeline.outcome import NodeState, Outcome

Launch = Callable[[Component], Outcome]


class Progression:
    """The state of a run's graph.

    Args:
        pipeline: The pipeline.
        selected: Ids of the nodes to run.

    Attributes:
        outcomes: How the nodes ended that have ended, by id.
        interrupted: Whether the run was stopped; nothing starts any more.
    """

    def __init__(self, pipeline: Pipeline, selected: frozenset[str]) -> None:
        self._waiting = [node for node in pipeline.nodes if node.id in selected]
        self._selected = selected
        self._weight = {node.id: len(pipeline.downstream_of([node.id])) for node in self._waiting}
        self.outcomes: dict[str, Outcome] = {}
        self.interrupted = False
        self._order = tuple(node.id for node in self._waiting)

    def startable(self) -> list[Component]:
        """Returns the nodes whose upstream nodes have ended well, those that most nodes wait for first.

        Nodes that can never start any more get their outcome here.
        """
        for node in list(self._waiting):
            refusal = self.refusal(node)
            if refusal:
                self._waiting.remove(node)
                self.outcomes[node.id] = Outcome(node.id, NodeState.NOT_RUN, (refusal,))
        ready = [node for node in self._waiting if all(self._ended(needed) for needed in node.upstream)]
        return sorted(ready, key=lambda node: -self._weight[node.id])

    def take(self, node: Component) -> None:
        """Notes that a node has been started."""
        self._waiting.remove(node)

    def record(self, outcome: Outcome) -> None:
        """Notes how a node ended."""
        self.outcomes[outcome.node] = outcome

    def refusal(self, node: Component) -> str | None:
        """Returns why a node must not start any more; None if it may."""
        blocked = next((outcome.node for outcome in self.outcomes.values() if outcome.state is NodeState.BLOCKED), None)
        if blocked:
            return f"the run is blocked by {blocked}"
        if self.interrupted:
            return "the run was stopped"
        for needed in node.upstream:
            outcome = self.outcomes.get(needed.id)
            if outcome is not None and not outcome.succeeded:
                return f"{needed.id} {'failed' if outcome.state is NodeState.FAILED else 'did not run'}"
        return None

    def in_order(self) -> tuple[Outcome, ...]:
        """Returns the outcomes in the order of the pipeline."""
        return tuple(self.outcomes[id] for id in self._order if id in self.outcomes)

    def _ended(self, node: Component) -> bool:
        return node.id not in self._selected or node.id in self.outcomes


def run_locally(progression: Progression, launch: Launch, *, parallel: int, stop: Callable[[], None]) -> None:
    """Runs all nodes in threads, each as soon as its upstream nodes have ended.

    A failed node stops what needs it; the others go on, so that a later `resume` finds their results. A block stops all that has
    not begun. Ctrl-C calls `stop`, and the nodes that run end as canceled.

    Args:
        progression: The graph.
        launch: Launches a node; must not raise.
        parallel: How many nodes may run at once.
        stop: Stops the running nodes.
    """
    running: dict[Future[Outcome], Component] = {}
    with ThreadPoolExecutor(max_workers=parallel, thread_name_prefix="node") as pool:
        while True:
            try:
                for node in progression.startable()[: parallel - len(running)]:
                    progression.take(node)
                    running[pool.submit(launch, node)] = node
                if not running:
                    return
                ended, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in ended:
                    progression.record(future.result())
                    del running[future]
            except KeyboardInterrupt:
                progression.interrupted = True
                stop()
                _drain(running, progression)
            except BaseException:
                stop()
                raise


def _drain(running: dict[Future[Outcome], Component], progression: Progression) -> None:
    """Waits for stopped nodes; a node that had not begun counts as canceled."""
    for future, node in list(running.items()):
        future.cancel()
        outcome = Outcome(node.id, NodeState.CANCELED, ("the run was stopped",)) if future.cancelled() else future.result()
        progression.record(outcome)
    running.clear()
