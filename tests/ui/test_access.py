"""Who may see the pages, what a browser may do with them, and which files leave the root folder."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from pipeline.ui.access import COOKIE, Access, is_loopback
from tests.ui.showcase import Showcase
from tests.ui.summaries import HOSTILE, PICTURE


def test_loopback_needs_no_token_and_any_other_address_does() -> None:
    for host in ("127.0.0.1", "localhost", "::1", "127.8.8.8"):
        assert is_loopback(host)
        assert Access.to(host).token is None
    for host in ("0.0.0.0", "192.168.1.7", "::", "ml.example.org"):
        assert not is_loopback(host)
        assert len(Access.to(host).token or "") >= 32
    assert Access.to("0.0.0.0").token != Access.to("0.0.0.0").token


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "localhost.evil.example", "127.0.0.1.evil.example", "", "[::2]:80", "8.8.8.8"]
)
def test_other_names_in_the_host_header_are_refused(showcase: Showcase, host: str) -> None:
    answer = showcase.client().get("/runs", headers={"host": host})
    assert answer.status_code == 421
    assert "cauce ui --allow-host NAME" in answer.text


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8484", "127.0.0.1:1", "[::1]:8484", "ml.example.org"])
def test_names_of_this_machine_are_known(showcase: Showcase, host: str) -> None:
    client = showcase.client(Access.to("127.0.0.1", ("ml.example.org",)))
    assert client.get("/runs", headers={"host": host}).status_code == 200


def test_on_all_addresses_an_address_is_known_and_a_foreign_name_is_not(showcase: Showcase) -> None:
    access = Access.to("0.0.0.0")
    assert access.knows("10.0.0.7:8484")
    assert access.knows("[fe80::1]:8484")
    assert not access.knows("evil.example:8484")
    assert not access.knows("10.0.0.7.evil.example")


def test_without_the_token_nothing_is_shown(showcase: Showcase) -> None:
    client = showcase.client(Access.to("0.0.0.0"), "http://10.0.0.7")
    for address in ("/runs", "/runs.json", "/static/style.css", "/", "/runs?token=", "/runs?token=wrong"):
        answer = client.get(address)
        assert answer.status_code == 401, address
        assert showcase.runs["done"] not in answer.text


def test_token_becomes_a_cookie_that_scripts_and_other_sites_do_not_get(showcase: Showcase) -> None:
    access = Access.to("0.0.0.0")
    client = showcase.client(access, "http://10.0.0.7")
    welcome = client.get(f"/runs?state=done&token={access.token}")
    cookie = welcome.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert access.token
    assert access.token not in welcome.text
    assert "url=/runs?state=done" in welcome.text
    assert client.get("/runs").status_code == 200
    fresh = showcase.client(access, "http://10.0.0.7")
    assert fresh.get("/runs.json", headers={"authorization": f"Bearer {access.token}"}).status_code == 200
    fresh.cookies.set(COOKIE, "wrong")
    assert fresh.get("/runs").status_code == 401


@pytest.mark.parametrize("path", ["//evil.example/x", "/\\evil.example", '/"><script>alert(1)</script>'])
def test_welcome_leads_to_no_other_site_and_runs_nothing(showcase: Showcase, path: str) -> None:
    access = Access.to("0.0.0.0")
    page = showcase.client(access, "http://10.0.0.7").get(f"http://10.0.0.7{path}?token={access.token}").text
    target = page.partition("url=")[2].partition('"')[0]
    assert target.startswith("/")
    assert not target.startswith(("//", "/\\"))
    assert "<script>" not in page


def test_wrong_tokens_of_any_length_take_the_same_time() -> None:
    access = Access(token="x" * 4_000_000)
    near, far = "x" * 3_999_999 + "y", "y" * 4_000_000

    def least(given: str) -> float:
        times = []
        for _ in range(15):
            began = time.perf_counter()
            assert not access.admits(given)
            times.append(time.perf_counter() - began)
        return min(times)

    assert 0.5 < least(near) / least(far) < 2


def test_every_answer_binds_the_browser(showcase: Showcase, client: TestClient) -> None:
    for address in ("/runs", "/runs.json", "/static/page.js", "/nowhere", f"/artifacts/{showcase.artifacts['Model']}"):
        headers = client.get(address).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self';" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_pages_only_read(client: TestClient, method: str) -> None:
    assert client.request(method, "/runs").status_code == 405


def test_reading_every_page_changes_nothing(showcase: Showcase) -> None:
    def state() -> dict[Path, tuple[int, int]]:
        files = (
            path for path in showcase.project.root.rglob("*") if path.is_file() and not path.is_symlink() and "locks" not in path.parts
        )
        return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in files}

    before = state()
    client = showcase.client()
    for address in showcase.addresses():
        client.get(address)
    assert state() == before


@pytest.mark.parametrize(
    "path", ["../summary.json", "..%2f..%2fsummary.json", "worst/%2e%2e/summary.json", "/etc/passwd", "passwd", "worst", "", "a\\b", "%00"]
)
def test_links_and_paths_that_lead_out_of_an_artifact_are_refused(showcase: Showcase, client: TestClient, path: str) -> None:
    id = showcase.artifacts["ModelEvaluation"]
    for address in (f"/artifacts/{id}/files/{path}", f"/artifacts/{id}/text?path={path}"):
        answer = client.get(address)
        assert answer.status_code == 404, address
        assert "root:" not in answer.text


def test_folder_that_is_a_link_is_not_followed(showcase: Showcase, client: TestClient) -> None:
    artifact = showcase.site.artifact(showcase.artifacts["SomethingElse"])
    (artifact.path / "folder").symlink_to("/etc")
    try:
        assert client.get(f"/artifacts/{artifact.id}/files/folder/passwd").status_code == 404
        assert client.get(f"/artifacts/{artifact.id}").text.count("a link, not followed") == 2
    finally:
        (artifact.path / "folder").unlink()


def test_pipe_in_the_place_of_a_file_makes_nobody_wait(showcase: Showcase, client: TestClient) -> None:
    artifact = showcase.site.artifact(showcase.artifacts["SomethingElse"])
    os.mkfifo(artifact.path / "pipe")
    try:
        assert client.get(f"/artifacts/{artifact.id}/files/pipe").status_code == 404
    finally:
        (artifact.path / "pipe").unlink()


def test_files_are_saved_or_shown_but_never_run(showcase: Showcase, client: TestClient) -> None:
    id = showcase.artifacts["ModelEvaluation"]
    for name in ("picture.svg", "page.html", "summary.json"):
        answer = client.get(f"/artifacts/{id}/files/{name}")
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/octet-stream"
        assert answer.headers["content-disposition"].startswith("attachment")
        assert "sandbox" in answer.headers["content-security-policy"]
    picture = client.get(f"/artifacts/{id}/files/worst/0.png")
    assert (picture.headers["content-type"], picture.content) == ("image/png", PICTURE)
    assert "sandbox" in picture.headers["content-security-policy"]


def test_picture_in_a_row_is_shown_and_other_bytes_are_not(showcase: Showcase, client: TestClient) -> None:
    id = showcase.artifacts["Examples"]
    picture = client.get(f"/artifacts/{id}/values/train/0/photo")
    assert (picture.status_code, picture.headers["content-type"], picture.content) == (200, "image/png", PICTURE)
    for address in (
        "train/2/photo",
        "train/0/fare",
        "train/0/nothing",
        "train/99/photo",
        "eval/0/photo",
        "..%2ftrain/0/photo",
        "train/x/photo",
    ):
        assert client.get(f"/artifacts/{id}/values/{address}").status_code in (400, 404), address


def test_log_is_sent_as_text_that_runs_nothing(showcase: Showcase, client: TestClient) -> None:
    answer = client.get(f"/runs/{showcase.runs['hostile']}/nodes/Model/log")
    assert answer.headers["content-type"].startswith("text/plain")
    assert "sandbox" in answer.headers["content-security-policy"]
    assert HOSTILE in answer.text
    assert client.get(f"/runs/{showcase.runs['hostile']}/nodes/..%2f..%2fx/log").status_code == 404


def test_large_files_are_read_in_pieces(showcase: Showcase, client: TestClient) -> None:
    artifact = showcase.site.artifact(showcase.artifacts["SomethingElse"])
    file = artifact.path / "large.txt"
    with file.open("wb") as stream:
        stream.truncate(3 << 30)
        stream.write(b"begin")
    log = showcase.project.root / "logs" / showcase.runs["hostile"] / "Model.log"
    kept = log.read_bytes()
    try:
        began = time.perf_counter()
        assert client.get(f"/artifacts/{artifact.id}/text?path=large.txt").status_code == 200
        summary = artifact.path / "summary.json"
        whole = summary.read_bytes()
        os.truncate(summary, 1 << 30)
        assert "at most 67,108,864 are read" in client.get(f"/artifacts/{artifact.id}").text
        summary.write_bytes(whole)
        os.truncate(log, 1 << 30)
        view = client.get(f"/runs/{showcase.runs['hostile']}/nodes/Model.json").json()["log"]
        assert (view["size"], view["cut"]) == (1 << 30, True)
        assert len(view["text"]) <= 64 << 10
        assert time.perf_counter() - began < 10
    finally:
        file.unlink()
        log.write_bytes(kept)
