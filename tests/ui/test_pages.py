"""Every page and its JSON, of a store with something of everything; whatever names and values hold, it stays text."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest
from starlette.testclient import TestClient

from tests.ui.showcase import SUMMARIES, Showcase
from tests.ui.summaries import HOSTILE


class Scan(HTMLParser):
    """Collects the elements of a page, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def links(self) -> list[str]:
        """Returns the addresses that the page leads to."""
        return [str(attributes["href"]) for tag, attributes in self.elements if tag == "a" and attributes.get("href")]

    def harm(self) -> list[str]:
        """Returns what a browser would run or load that is not ours."""
        found = []
        for tag, attributes in self.elements:
            if tag == "script" and not str(attributes.get("src", "")).startswith("/static/"):
                found.append(f"{tag} {attributes}")
            found += [f"{tag} {name}={value}" for name, value in attributes.items() if name.startswith("on") or name == "style"]
            for name in ("href", "src", "action"):
                address = attributes.get(name)
                if address and (not address.startswith(("/", "#", "?")) or address.startswith("//")):
                    found.append(f"{tag} {name}={address}")
        return found


def test_every_page_is_whole_harmless_and_has_a_json_twin(showcase: Showcase, client: TestClient) -> None:
    for address in showcase.addresses():
        answer = client.get(address)
        assert answer.status_code == 200, address
        scan = Scan(answer.text)
        assert scan.harm() == [], address
        assert re.findall("&amp;(?:lt|gt|quot|amp|#\\d+);", answer.text) == [], f"{address}: escaped twice"
        assert answer.text.rstrip().endswith("</html>")
        (twin,) = [
            attributes["href"] for tag, attributes in scan.elements if tag == "link" and attributes.get("type") == "application/json"
        ]
        assert twin
        found = client.get(twin)
        assert found.headers["content-type"] == "application/json", twin
        assert isinstance(found.json(), dict)


def test_every_link_of_every_page_leads_somewhere(showcase: Showcase, client: TestClient) -> None:
    known = set(showcase.addresses())
    seen = {link for address in known for link in Scan(client.get(address).text).links() if link.startswith("/")}
    for link in sorted(seen - known):
        gone = showcase.artifacts["gone"], showcase.artifacts["removed"]
        if not any(f"/artifacts/{id}/" in link for id in gone):
            assert client.get(link).status_code == 200, link


@pytest.mark.parametrize("kind", SUMMARIES)
def test_hostile_names_and_values_of_each_type_are_shown_as_text(showcase: Showcase, client: TestClient, kind: str) -> None:
    page = client.get(f"/artifacts/{showcase.artifacts[kind]}").text
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert "does not have the expected form" not in page
    assert "alert('x')" in Scan(page).text


def test_hostile_reasons_parameters_and_logs_are_shown_as_text(showcase: Showcase, client: TestClient) -> None:
    for address in ("", "/nodes/Model"):
        page = client.get(f"/runs/{showcase.runs['hostile']}{address}").text
        assert "<script>alert" not in page
        assert "{{7*7}}" in Scan(page).text
    assert HOSTILE in Scan(client.get(f"/runs/{showcase.runs['hostile']}/nodes/Model").text).text


def test_runs_are_listed_with_state_nodes_metric_and_verdict(showcase: Showcase, client: TestClient) -> None:
    rows = {row["id"]: row for row in client.get("/runs.json").json()["rows"]}
    assert {name: rows[id]["state"] for name, id in showcase.runs.items()} == {
        "done": "done",
        "cached": "done",
        "failed": "failed",
        "blocked": "blocked",
        "skipped": "done",
        "hostile": "done",
        "running": "running",
        "interrupted": "interrupted",
    }
    assert [node["state"] for node in rows[showcase.runs["cached"]]["nodes"]] == ["cached", "cached"]
    assert [node["state"] for node in rows[showcase.runs["blocked"]]["nodes"]] == ["done", "blocked", "not run"]
    assert rows[showcase.runs["hostile"]]["metric"] == {"name": "auc", "value": 0.91, "baseline": 0.9}
    assert rows[showcase.runs["blocked"]]["verdict"] == "blocked"


def test_runs_are_filtered_and_sorted(showcase: Showcase, client: TestClient) -> None:
    failed = client.get("/runs.json?state=failed").json()
    assert [row["id"] for row in failed["rows"]] == [showcase.runs["failed"]]
    times = [row["started"] for row in client.get("/runs.json?sort=started&order=up").json()["rows"]]
    assert times == sorted(times)
    longest = [row["seconds"] or 0 for row in client.get("/runs.json?sort=duration").json()["rows"]]
    assert longest == sorted(longest, reverse=True)
    wrong = client.get("/runs.json?where=no_such_field > 3").json()
    assert "no_such_field" in wrong["problem"]
    assert wrong["matching"] == wrong["total"]
    found = client.get("/runs.json?where=state = blocked").json()
    assert [row["id"] for row in found["rows"]] == [showcase.runs["blocked"]]


def test_running_run_shows_how_far_it_is_and_the_end_of_its_log(showcase: Showcase, client: TestClient) -> None:
    view = client.get(f"/runs/{showcase.runs['running']}.json").json()
    states = {node["id"]: node["state"] for node in view["nodes"]}
    assert states == {"Source": "waits", "Trainer": "running", "Pusher": "waits"}
    activity = next(node["activity"] for node in view["nodes"] if node["id"] == "Trainer")
    assert (activity["share"], activity["memory"]) == (0.4, 123_000_000)
    assert activity["series"] == [{"name": "loss", "steps": [10, 20, 40], "values": [0.1, 0.05, 0.025]}]
    assert view["logs"] == [{"node": "Trainer", "text": "begun\nstep 40\n", "size": 14, "cut": False}]
    page = client.get(f"/runs/{showcase.runs['running']}").text
    assert f'data-follow="/runs/{showcase.runs["running"]}/changes"' in page
    assert [(curve["source"], curve["target"]) for curve in view["wide"]["curves"]] == [("Source", "Trainer"), ("Trainer", "Pusher")]


def test_graph_of_a_run_comes_from_its_definition(showcase: Showcase, client: TestClient) -> None:
    view = client.get(f"/runs/{showcase.runs['blocked']}.json").json()
    assert [(curve["source"], curve["target"]) for curve in view["wide"]["curves"]] == [("Source", "Blocking"), ("Blocking", "NearDoubler")]


def test_node_says_why_with_its_parameters_inputs_and_code(showcase: Showcase, client: TestClient) -> None:
    view = client.get(f"/runs/{showcase.runs['cached']}/nodes/NearDoubler.json").json()
    assert view["state"] == "cached"
    assert view["origin"] == [showcase.runs["done"], "NearDoubler"]
    assert view["why"]["question"] == "Why did NearDoubler not run again?"
    assert {parameter["name"]: parameter["value"] for parameter in view["parameters"]} == {"factor": 2}
    assert [link["key"] for link in view["inputs"]] == ["numbers"]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("gone", "is missing"),
        ("removed", "It was removed by `cauce gc`"),
        ("cut", "is damaged"),
        ("strange", "does not have the expected form"),
    ],
)
def test_damaged_artifact_has_a_page_that_says_so(showcase: Showcase, client: TestClient, name: str, told: str) -> None:
    answer = client.get(f"/artifacts/{showcase.artifacts[name]}")
    assert answer.status_code == 200
    assert told in Scan(answer.text).text
    assert client.get(f"/artifacts/{showcase.artifacts[name]}.json").status_code == 200


def test_every_way_to_break_a_summary_gives_a_page(showcase: Showcase, client: TestClient) -> None:
    """Each value of each summary is replaced by one of another type: a page comes, never a fault."""
    for kind, make in SUMMARIES.items():
        artifact = showcase.site.artifact(showcase.artifacts[kind])
        file = artifact.path / "summary.json"
        whole = file.read_text()
        try:
            for name in make():
                for value in (None, 7, [{"a": None}], {"a": 1}):
                    file.write_text(json.dumps({**make(), name: value}))
                    assert client.get(f"/artifacts/{artifact.id}").status_code == 200, (kind, name, value)
                    assert kind != "ModelEvaluation" or client.get("/runs").status_code == 200, (name, value)
        finally:
            file.write_text(whole)


def test_statistics_are_shown_beside_another_split_or_another_artifact(showcase: Showcase, client: TestClient) -> None:
    id = showcase.artifacts["ExampleStatistics"]
    page = Scan(client.get(f"/artifacts/{id}?split=eval").text).text
    assert "eval, 110 rows" in page
    assert "train, 110 rows" in page


def test_rows_of_examples_are_read_in_pieces(showcase: Showcase, client: TestClient) -> None:
    id = showcase.artifacts["Examples"]
    page = client.get(f"/artifacts/{id}?split=train&row=1").text
    assert "Rows 1 to 2" in page
    assert f"/artifacts/{id}/values/train/1/photo" in page
    assert "a, b" in page
    assert "2 bytes" in page  # of what is no text


def test_lineage_leads_from_the_last_artifact_to_the_first(showcase: Showcase, client: TestClient) -> None:
    view = client.get(f"/artifacts/{showcase.artifacts['PushedModel']}/lineage.json?direction=up&depth=20").json()
    names = {thing["name"] for thing in view["things"] if thing["kind"] == "artifact"}
    assert {"PushedModel", "Model", "Examples"} <= names
    short = client.get(f"/artifacts/{showcase.artifacts['PushedModel']}/lineage.json?direction=up&depth=1").json()
    (edge,) = [thing["number"] for thing in short["things"] if thing["more"]]
    opened = client.get(f"/artifacts/{showcase.artifacts['PushedModel']}/lineage.json?direction=up&depth=1&open={edge}").json()
    assert len(opened["things"]) == len(short["things"]) + 2
    (next_edge,) = [thing["number"] for thing in opened["things"] if thing["more"]]
    further = client.get(f"/artifacts/{showcase.artifacts['PushedModel']}/lineage.json?direction=up&depth=1&open={edge},{next_edge}").json()
    assert len(further["things"]) == len(opened["things"]) + 2


def test_search_leads_to_what_a_person_types(showcase: Showcase, client: TestClient) -> None:
    run = showcase.runs["failed"]
    assert client.get(f"/search.json?q={run[:-3]}").json()["exact"] == f"/runs/{run}"
    model = showcase.artifacts["Model"]
    assert client.get(f"/search.json?q={model}").json()["exact"] == f"/artifacts/{model}"
    path = showcase.site.artifact(model).path / "summary.json"
    assert client.get("/search.json", params={"q": str(path)}).json()["exact"] == f"/artifacts/{model}"
    assert client.get("/search.json?q=zzzzzz").json() == {"text": "zzzzzz", "hits": [], "exact": ""}


def test_two_runs_are_compared_in_order_of_time(showcase: Showcase, client: TestClient) -> None:
    view = client.get(f"/compare.json?run={showcase.runs['cached']}&run={showcase.runs['done']}").json()
    assert (view["before"]["name"], view["after"]["name"]) == (f"run {showcase.runs['done']}", f"run {showcase.runs['cached']}")
    three = client.get(f"/compare.json?run={showcase.runs['cached']}&run={showcase.runs['done']}&run={showcase.runs['blocked']}").json()
    assert [row["state"] for row in three["runs"]] == ["done", "done", "blocked"]
    assert {column["name"] for column in three["parameters"]} >= {"Source.values"}


def test_what_is_not_there_is_told(client: TestClient) -> None:
    for address, status in (
        ("/runs/nothing", 404),
        ("/runs/nothing/nodes/x", 404),
        ("/artifacts/999999", 404),
        ("/artifacts/abc", 400),
        ("/artifacts/99999999999999999999", 400),
        ("/executions/999999", 404),
        ("/compare?run=a&run=b", 400),
        ("/code/%2e%2e", 404),
        ("/code/abc", 404),
        ("/nowhere", 404),
        ("/static/../app.py", 404),
    ):
        answer = client.get(address)
        assert answer.status_code == status, address
        assert "Traceback" not in answer.text
    answer = client.get("/artifacts/999999.json")
    assert (answer.status_code, answer.json()["error"]) == (404, "There is no artifact 999999.")
