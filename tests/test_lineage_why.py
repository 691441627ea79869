"""Why nodes ran or not, and why models were blessed, pushed, served, or not."""

from __future__ import annotations

from pipeline.lineage import Explanation, Ledger
from tests.fakes import Applying, Blocking, Failing, Latest, NearFailing, Source
from tests.light import Halver
from tests.models import modelling
from tests.project import Project


def why(project: Project, name: str) -> Explanation:
    return Ledger(project.store, project.storage).why(name)


def test_a_node_that_ran_leads_back_to_the_change_that_made_it_run(project: Project) -> None:
    project.run(Halver(Halver(Source(), id="first"), id="second"))
    project.run(Halver(Halver(Source(values=(8, 9)), id="first"), id="second"))
    found = why(project, "second")
    assert found.question == "Why did second run?"
    assert found.answer == ("the input numbers changed", "It comes from Source: values is (8, 9), was (1, 2, 3)")
    assert [(step.node, step.role) for step in found.steps] == [
        ("second", "it"),
        ("first", "because of it second ran"),
        ("Source", "because of it first ran"),
    ]


def test_a_node_that_was_reused_leads_to_the_run_that_made_it(project: Project) -> None:
    first = project.run(Halver(Source())).result.run
    project.run(Halver(Source()))
    found = why(project, "latest/halver")
    assert (found.question, found.answer) == ("Why did Halver not run again?", (f"nothing changed since run {first}",))
    assert [(step.role, step.run) for step in found.steps][1:] == [("made what was reused", first)]


def test_a_failed_node_names_the_error_and_its_log(project: Project) -> None:
    run = project.run(NearFailing(Source())).result.run
    found = why(project, "NearFailing")
    assert found.question == "Why did NearFailing fail?"
    assert "ValueError: as it was told" in found.answer[0]
    assert found.next == f"cauce logs {run} NearFailing"


def test_a_node_that_did_not_run_leads_to_the_one_that_failed(project: Project) -> None:
    project.run(Halver(Halver(NearFailing(Source()), id="first"), id="second"))
    found = why(project, "second")
    assert (found.question, found.answer[0]) == ("Why did second not run?", "first did not run")
    assert [step.node for step in found.steps] == ["second", "first", "NearFailing"]
    assert "It comes from NearFailing: Node 'NearFailing' failed" in found.answer[1]


def test_a_node_behind_a_block_leads_to_the_verdict(project: Project) -> None:
    project.run(Halver(Blocking(Source(values=(500,)))))
    found = why(project, "Halver")
    assert found.answer == (
        "the run is blocked by Blocking",
        "It comes from Blocking: the largest number is 500, the limit is 100",
    )
    blocking = why(project, "Blocking")
    assert blocking.question == "Why did Blocking block the run?"
    assert blocking.answer == ("the largest number is 500, the limit is 100", "It ran because it has not run before")
    project.run(Halver(Blocking(Source(values=(600,)))))
    assert why(project, "Halver").answer[1] == "It comes from Blocking: the largest number is 600, the limit is 100"


def test_a_skipped_node_says_what_it_lacks(project: Project) -> None:
    project.run(Halver(Latest(), id="late"))
    found = why(project, "late")
    assert (found.question, found.answer[0]) == ("Why was late skipped?", "Latest.numbers is empty")
    assert [step.node for step in found.steps] == ["late", "Latest"]


def test_a_run_says_how_it_ended_and_which_nodes_tell(project: Project) -> None:
    run = project.run(Halver(NearFailing(Source()), id="late")).result.run
    found = why(project, run[:12])
    assert found.answer[0].startswith("It failed: NearFailing failed: ")
    assert {step.node: step.state for step in found.steps} == {"Source": "done", "NearFailing": "failed"}
    assert found.answer[-1] == "So late did not run."
    assert found.next == f"cauce why {run}/NearFailing"


def test_a_blessed_model_is_explained_from_its_making_to_where_it_is_served(project: Project) -> None:
    project.run(*modelling())
    served = project.folder / "serving/fake/1"
    for name in ("latest:Model", "latest:PushedModel", "latest:ModelBlessing", str(served)):
        found = why(project, name)
        assert found.question == "Why is this model served?"
        assert found.answer[:3] == (
            f"It is served now at {served}.",
            "Pushing: pushed: Version 1",
            "Judging: blessed: auc is 0.9, the bound is 0.8",
        )
        assert [(step.node, step.role) for step in found.steps] == [
            ("Training", "made it"),
            ("Judging", "judged it"),
            ("Pushing", "pushed it"),
        ]


def test_a_model_that_is_not_blessed_says_which_bound_it_broke(project: Project) -> None:
    project.run(*modelling(quality=0.6))
    found = why(project, "latest:Model")
    assert found.question == "Why was this model not blessed?"
    assert found.answer[:2] == (
        "Pushing: not pushed: the model is not blessed",
        "Judging: not blessed: auc is 0.6, the bound is 0.8",
    )
    assert found.next.startswith("cauce artifacts show ")


def test_an_earlier_model_is_not_served_any_more(project: Project) -> None:
    project.run(*modelling())
    project.run(*modelling(quality=0.95))
    models = project.store.all_artifacts("Model")
    found = why(project, str(models[0].id))
    assert found.question == "Why was this model pushed, and is not served any more?"
    assert found.answer[0].startswith(f"It is not served now: {project.folder}/serving/fake/2 is (Model {models[1].id}), since 20")
    assert why(project, str(models[1].id)).answer[0].endswith("/serving/fake/2.")


def test_repeated_decisions_of_the_cache_are_told_once(project: Project) -> None:
    for _ in range(3):
        project.run(*modelling(quality=0.6))
    assert [step.node for step in why(project, "latest:Model").steps].count("Judging") == 1


def test_an_execution_by_number_and_one_that_was_tried_again(project: Project) -> None:
    failed = project.run(Failing(Source(), marker=str(project.folder / "marker")))
    number = failed.result["Failing"].execution
    project.run(Failing(Source(), marker=str(project.folder / "marker")), resume=failed.result.run)
    found = why(project, f"execution:{number}")
    assert (found.subject, found.question) == (f"execution {number}", "Why did Failing fail?")


def test_changed_code_names_file_and_line(project: Project) -> None:
    project.write("steps.py", "def apply(numbers):\n    return numbers\n")
    project.run(Applying(Source(), function="steps"))
    project.write("steps.py", "def apply(numbers):\n    return numbers[:1]\n")
    project.run(Applying(Source(), function="steps"))
    assert why(project, "Applying").answer == ("steps.py changed (line 2)",)


def test_html_shows_question_and_answer_and_no_markup_of_the_data() -> None:
    shown = Explanation("x", "Why <b>?", ("a < b",), (), "")._repr_html_()
    assert "Why &lt;b&gt;?" in shown
    assert "a &lt; b" in shown
