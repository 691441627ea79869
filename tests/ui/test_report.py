"""`cauce report` and `cauce ui` on the command line."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import jsonschema
import pytest

from pipeline.ui.report import report_of
from tests.cli import SCHEMAS, cauce
from tests.ui.showcase import Showcase
from tests.ui.test_pages import Scan


@pytest.mark.parametrize("name", ["done", "cached", "failed", "blocked", "skipped", "hostile", "running", "interrupted"])
def test_report_is_one_file_that_loads_nothing_and_leads_nowhere_else(showcase: Showcase, name: str) -> None:
    page = report_of(showcase.site, showcase.runs[name])
    scan = Scan(page)
    assert not [
        tag for tag, attributes in scan.elements if tag in ("link", "iframe", "form") or str(attributes.get("src", "data:"))[:5] != "data:"
    ]
    places = {attributes["id"] for _, attributes in scan.elements if attributes.get("id")}
    assert all(link.startswith(("#", "data:")) for link in scan.links())
    assert {link[1:] for link in scan.links() if link.startswith("#")} <= places
    assert len(places) == sum(1 for _, attributes in scan.elements if attributes.get("id"))
    assert "<script>alert" not in page


def test_report_lets_run_what_is_ours_and_nothing_else(showcase: Showcase) -> None:
    page = report_of(showcase.site, showcase.runs["hostile"])
    (policy,) = [str(attributes["content"]) for tag, attributes in Scan(page).elements if attributes.get("http-equiv")]
    bodies = re.findall(r"<script[^>]*>(.*?)</script>", page, re.DOTALL)
    assert len(bodies) == 2
    for body in (*bodies, *re.findall(r"<style>(.*?)</style>", page, re.DOTALL)):
        assert f"'sha256-{base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()}'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy


def test_report_holds_its_pictures(showcase: Showcase) -> None:
    assert report_of(showcase.site, showcase.runs["hostile"]).count("data:image/png;base64,") >= 3


def test_report_is_written_and_told(showcase: Showcase, tmp_path: Path) -> None:
    said = cauce("report", showcase.runs["blocked"], "-o", tmp_path / "r.html", "--json", root=showcase.project.root)
    assert said.code == 0
    told = said.json("report")
    assert (told["run"], told["size_bytes"]) == (showcase.runs["blocked"], (tmp_path / "r.html").stat().st_size)
    assert list(tmp_path.iterdir()) == [tmp_path / "r.html"]
    page = (tmp_path / "r.html").read_text()
    assert "the largest number is 500, the limit is 100" in page


def test_report_that_cannot_be_written_is_told(showcase: Showcase, tmp_path: Path) -> None:
    said = cauce("report", "latest", "-o", tmp_path / "no" / "r.html", root=showcase.project.root)
    assert said.code == 1
    assert "cannot be written" in said.err
    assert "There is no run 'zzz'" in cauce("report", "zzz", root=showcase.project.root).err


def test_run_writes_its_report_at_its_end(tmp_path: Path) -> None:
    (tmp_path / "cauce.toml").write_text("")
    (tmp_path / "definition.py").write_text(
        "from pipeline import Pipeline\nfrom tests.fakes import Blocking, Source\n\n"
        "def create_pipeline():\n    return Pipeline('fake', [Blocking(Source(values=(500,)))])\n"
    )
    said = cauce("run", tmp_path, "--report", tmp_path / "r.html", root=tmp_path / "root")
    assert said.code == 3
    assert f"report {tmp_path / 'r.html'}" in said.err
    assert "the largest number is 500" in (tmp_path / "r.html").read_text()


def serve(root: Path, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "pipeline", "ui", "--root", str(root), "--port", "0", *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])


def test_ui_says_where_it_is_answers_and_stops_at_once(showcase: Showcase) -> None:
    process = serve(showcase.project.root)
    assert process.stdout is not None
    address = process.stdout.readline().strip()
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", address)
    with urllib.request.urlopen(f"{address}runs.json", timeout=20) as answer:
        assert len(json.load(answer)["rows"]) == len(showcase.runs)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert (process.returncode in (0, 130), "Traceback" in err) == (True, False)


def test_ui_on_another_address_says_that_others_can_reach_it(showcase: Showcase) -> None:
    process = serve(showcase.project.root, "--host", "0.0.0.0", "--json")
    assert process.stdout is not None
    told = "".join(iter(process.stdout.readline, "}\n")) + "}"
    value = json.loads(told)
    jsonschema.Draft202012Validator(json.loads((SCHEMAS / "ui.json").read_text())).validate(value)
    assert value["address"].endswith(f"/?token={value['token']}")
    process.terminate()
    _, err = process.communicate(timeout=20)
    assert "Others can reach it" in err


def test_port_that_is_taken_is_told_with_the_next_step(showcase: Showcase) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = cauce("ui", "--port", port, root=showcase.project.root)
    assert said.code == 2
    assert "cauce ui --port 0" in said.err
    assert "is no address of this machine" in cauce("ui", "--host", "no.such.invalid", root=showcase.project.root).err
