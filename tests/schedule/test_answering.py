"""What the daemon answers on loopback: health, metrics, webhooks with a token."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib import error, request

import jsonschema
import pytest
from prometheus_client.parser import text_string_to_metric_families

from pipeline.errors import UsageError
from pipeline.schedule.answering import Answerer
from pipeline.schedule.triggers import Cron, Webhook
from tests.cli import SCHEMAS
from tests.schedule.world import World

Make = Callable[..., World]
TOKEN = "correct-horse"


@contextmanager
def answering(there: World) -> Iterator[str]:
    """Answers as long as the block lasts; gives the address."""
    answerer = Answerer(there.state, there.clock, 0)
    there.step()
    answerer.begin(there.daemon.lease, there.daemon.woken)
    try:
        yield f"http://127.0.0.1:{answerer.reports.daemon().port}"
    finally:
        answerer.end()


def ask(url: str, *, method: str = "GET", body: bytes | None = None, **headers: str) -> tuple[int, str]:
    asked = request.Request(url, data=body, method=method, headers={name.replace("_", "-"): value for name, value in headers.items()})
    try:
        with request.urlopen(asked, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except error.HTTPError as refused:
        return refused.code, refused.read().decode()


def hook(url: str, name: str = "taxi", **headers: str) -> tuple[int, dict[str, Any]]:
    status, text = ask(f"{url}/hooks/{name}", method="POST", body=b'{"any": "thing"}', **headers)
    return status, json.loads(text)


@pytest.fixture
def hooked(world: Make, monkeypatch: pytest.MonkeyPatch) -> World:
    """A scheduler with a schedule that takes webhooks."""
    monkeypatch.setenv("HOOK_TOKEN", TOKEN)
    there = world()
    there.add("taxi", Webhook("env:HOOK_TOKEN"))
    there.add("nightly", Cron("0 6 * * *"))
    return there


def test_health_says_that_the_daemon_works_and_what_runs(hooked: World) -> None:
    with answering(hooked) as url:
        hooked.go(to="2026-01-01 06:00")
        status, text = ask(f"{url}/health")
        health = json.loads(text)
        jsonschema.validate(health, json.loads((SCHEMAS / "schedule-status.json").read_text()))
        assert (status, health["state"], len(health["running"])) == (200, "working", 1)
        assert health["last_tick"] == "2026-01-01T06:00:00.000Z"
        hooked.clock.move(3600)
        status, text = ask(f"{url}/health")
        assert (status, json.loads(text)["state"]) == (503, "silent")


def test_metrics_are_read_by_prometheus(hooked: World) -> None:
    with answering(hooked) as url:
        hooked.go(to="2026-01-02 12:00")
        status, text = ask(f"{url}/metrics")
    families = {family.name: family for family in text_string_to_metric_families(text)}
    done = {(sample.labels["schedule"], sample.labels["state"]): sample.value for sample in families["cauce_schedule_ticks"].samples}
    assert status == 200
    assert (done["nightly", "done"], done["nightly", "failed"]) == (2.0, 0.0)
    assert families["cauce_schedule_schedules"].samples[0].value == 2.0
    (following,) = families["cauce_schedule_next_seconds"].samples
    assert (following.labels["schedule"], following.value) == ("nightly", hooked.daemon.collector.next_due() / 1000)  # type: ignore[operator]


def test_webhook_with_the_token_makes_a_tick_that_is_recorded_before_the_answer(hooked: World) -> None:
    with answering(hooked) as url:
        status, said = hook(url, Authorization=f"Bearer {TOKEN}")
        assert (status, said["new"]) == (202, True)
        assert [tick.id for tick in hooked.ticks("taxi")] == [said["tick"]]
        assert hooked.daemon.woken.is_set()
        hooked.go(60)
    assert hooked.why("taxi") == [("done", "done")]


def test_webhook_is_taken_once_for_a_key(hooked: World) -> None:
    with answering(hooked) as url:
        answers: list[bool] = []

        def call() -> None:
            answers.append(hook(url, Authorization=f"Bearer {TOKEN}", Idempotency_Key="push-17")[1]["new"])

        threads = [threading.Thread(target=call) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(answers) == [False] * 5 + [True]
    assert len(hooked.ticks("taxi")) == 1


@pytest.mark.parametrize(
    ("name", "header"), [("taxi", ""), ("taxi", "Bearer wrong"), ("nightly", f"Bearer {TOKEN}"), ("nix", f"Bearer {TOKEN}")]
)
def test_webhook_without_the_token_is_refused_with_the_same_answer(hooked: World, name: str, header: str) -> None:
    with answering(hooked) as url:
        status, said = hook(url, name, Authorization=header)
    assert status == 401
    assert said["error"].startswith("There is no webhook of this name, or the token is wrong.")
    assert hooked.ticks() == []


def test_empty_token_opens_nothing(hooked: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_TOKEN", "")
    with answering(hooked) as url:
        assert hook(url, Authorization="Bearer ")[0] == 401
        assert hook(url)[0] == 401


def test_large_and_wrong_requests_are_refused(hooked: World) -> None:
    with answering(hooked) as url:
        assert ask(f"{url}/hooks/taxi", method="POST", body=b"x" * 70_000, Authorization=f"Bearer {TOKEN}")[0] == 413
        assert ask(f"{url}/nothing")[0] == 404
        assert ask(f"{url}/nothing", method="POST", body=b"")[0] == 404
        assert hook(url, Authorization=f"Bearer {TOKEN}", Idempotency_Key="a b")[0] == 400


def test_port_in_use_is_said_and_the_lease_given_back(hooked: World) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        hooked.step()
        with pytest.raises(UsageError, match=r"Port \d+ of 127.0.0.1 is in use"):
            Answerer(hooked.state, hooked.clock, taken.getsockname()[1]).begin(hooked.daemon.lease, threading.Event())
    assert hooked.new_daemon().lease.acquire() is None


def test_it_answers_on_loopback_only(hooked: World) -> None:
    with answering(hooked) as url:
        port = int(url.rpartition(":")[2])
        with socket.socket() as other:
            other.bind(("127.0.0.2", port))  # would fail, were it bound to all addresses
