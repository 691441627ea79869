"""Notifications: what is told, to whom, signed, tried again, limited; and that no secret is shown anywhere."""

from __future__ import annotations

import base64
import json
import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email import message_from_string
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from pipeline.schedule import operations, tables
from pipeline.schedule.deciding import Outcome
from pipeline.schedule.model import AttemptState
from pipeline.schedule.notifying import MOST_WAITING, PER_MINUTE, TRIES, Notifier, Teller
from pipeline.schedule.secrets import check_reference
from pipeline.schedule.sending import signature
from pipeline.schedule.targets import EVENTS, read_target, shown_target
from pipeline.schedule.triggers import Cron
from tests.schedule.servers import mail, webhooks
from tests.schedule.world import DONE, World

Make = Callable[..., World]
SECRET = "correct-horse-battery"


def result(state: AttemptState, reason: str, **details: object) -> Outcome:
    return Outcome(state, reason, {"started": "then", **details})


FAILED = result(AttemptState.FAILED, "Trainer failed: out of memory", log="/logs/Trainer.log")
BLOCKED = result(AttemptState.BLOCKED, "ExampleValidator: fare is missing in 12 % of the rows")
NOT_BLESSED = result(AttemptState.DONE, "done", blessed=False, verdicts={"Evaluator": {"kind": "not blessed", "reasons": ["auc is 0.7."]}})
PUSHED = result(AttemptState.DONE, "done", blessed=True, pushed=True, verdicts={"Pusher": {"kind": "pushed", "reasons": ["Version 3."]}})


@contextmanager
def notifying(there: World) -> Iterator[Notifier]:
    """A notifier that sends when it is told to."""
    notifier = Notifier(there.state, there.clock)
    there.daemon.dispatcher.tell = Teller(there.folder, lambda attempt: there.folder / f"{attempt.run}.log")
    there.step()
    notifier._lease = there.daemon.lease
    yield notifier


def ran(there: World, name: str, *outcomes: Outcome) -> None:
    """Lets a schedule run, with these outcomes."""
    for outcome in outcomes:
        there.runs.ends = lambda attempt, outcome=outcome: outcome  # type: ignore[misc]
        operations.trigger(there.state, there.state.schedule(name), "", there.clock.now())
        there.go(15)


def notices(there: World) -> list[Any]:
    with there.state.reading() as connection:
        return list(connection.execute(select(tables.notices).order_by(tables.notices.c.id)).all())


def test_each_event_is_told_once_with_reason_and_links(world: Make) -> None:
    with webhooks() as received:
        there = world()
        there.add(
            "taxi", Cron("0 6 1 1 *"), targets=(read_target(f"all webhook http://127.0.0.1:{received.port}/hook link=http://ui.test/"),)
        )
        with notifying(there) as notifier:
            ran(there, "taxi", DONE, FAILED, FAILED, PUSHED, NOT_BLESSED, BLOCKED, DONE)
            while notifier.send_waiting() or any(row.state == "waiting" for row in notices(there)):
                there.clock.move(61)
            assert notifier.send_waiting() == 0
    bodies = [json.loads(body) for _, _, body in received.requests]
    assert [body["event"] for body in bodies] == ["failed", "failed", "recovered", "pushed", "not blessed", "blocked", "recovered"]
    assert {event for body in bodies for event in [body["event"]]} == set(EVENTS)
    assert [bodies[place]["reason"] for place in (0, 3, 4, 5)] == [FAILED.reason, "Version 3.", "auc is 0.7.", BLOCKED.reason]
    first = bodies[0]
    assert (first["schedule"], first["run"], first["cause"]) == ("taxi", there.runs.started[1].run, "by hand")
    assert first["links"] == {
        "show": f"cauce runs show {first['run']} --root {there.folder}",
        "history": f"cauce schedule history taxi --root {there.folder}",
        "log": "/logs/Trainer.log",
        "page": f"http://ui.test/runs/{first['run']}",
    }


def test_only_the_events_that_are_asked_for_are_told(world: Make) -> None:
    with webhooks() as received:
        there = world()
        there.add("taxi", Cron("0 6 1 1 *"), targets=(read_target(f"blocked,pushed webhook http://127.0.0.1:{received.port}/"),))
        with notifying(there) as notifier:
            ran(there, "taxi", FAILED, NOT_BLESSED, PUSHED, BLOCKED)
            notifier.send_waiting()
    assert [json.loads(body)["event"] for _, _, body in received.requests] == ["pushed", "blocked"]


def test_a_failure_that_is_tried_again_is_told_when_no_try_is_left(world: Make) -> None:
    there = world()
    there.add("taxi", Cron("0 6 1 1 *"), targets=(read_target("failed command true"),), retries=2, retry_delay=60.0)
    with notifying(there):
        ran(there, "taxi", FAILED)
        assert notices(there) == []
        there.go(600)
        assert [row.event for row in notices(there)] == ["failed"]


def test_webhook_is_signed_with_the_secret_and_the_time(world: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    with webhooks() as received:
        there = world()
        there.add(
            "taxi", Cron("0 6 1 1 *"), targets=(read_target(f"failed webhook http://127.0.0.1:{received.port}/a secret=env:HOOK_SECRET"),)
        )
        with notifying(there) as notifier:
            ran(there, "taxi", FAILED)
            assert notifier.send_waiting() == 1
    ((path, headers, body),) = received.requests
    assert path == "/a"
    assert headers["X-Cauce-Timestamp"] == str(there.clock.now() // 1000)
    assert headers["X-Cauce-Signature"] == signature(SECRET, headers["X-Cauce-Timestamp"], body)
    assert headers["X-Cauce-Signature"] != signature("another", headers["X-Cauce-Timestamp"], body)
    assert headers["X-Cauce-Key"] == notices(there)[0].key


def test_what_does_not_arrive_is_tried_again_under_the_same_key_and_given_up_at_last(world: Make) -> None:
    with webhooks(*[503] * 3) as received:
        there = world()
        there.add("taxi", Cron("0 6 1 1 *"), targets=(read_target(f"failed webhook http://127.0.0.1:{received.port}/"),))
        with notifying(there) as notifier:
            ran(there, "taxi", FAILED)
            waits = []
            while notices(there)[0].state == "waiting":
                notifier.send_waiting()
                waits.append((notices(there)[0].not_before - there.clock.now()) / 1000)
                there.clock.move(max(waits[-1], 0))
    assert waits[:3] == [10, 20, 40]
    assert (notices(there)[0].state, notices(there)[0].tries) == ("sent", 4)
    assert len({headers["X-Cauce-Key"] for _, headers, _ in received.requests}) == 1
    there.clock.move(600)
    with notifying(there) as notifier:
        ran(there, "taxi", FAILED)
        for _ in range(TRIES + 1):
            notifier.send_waiting()
            there.clock.move(3600)
    assert (notices(there)[1].state, notices(there)[1].tries) == ("failed", TRIES)
    assert "the server cannot be reached" in notices(there)[1].problem


def test_signed_body_does_not_follow_a_redirect(world: Make) -> None:
    with webhooks(302) as received:
        there = world()
        there.add("taxi", Cron("0 6 1 1 *"), targets=(read_target(f"failed webhook http://127.0.0.1:{received.port}/a"),))
        with notifying(there) as notifier:
            ran(there, "taxi", FAILED)
            assert notifier.send_waiting() == 0
    assert [path for path, _, _ in received.requests] == ["/a"]
    assert notices(there)[0].problem == "the server answered 302 Found"


def test_a_target_gets_a_few_in_a_minute_and_hears_how_many_were_dropped(world: Make) -> None:
    with webhooks() as received:
        there = world()
        there.add("taxi", Cron("0 6 1 1 *"), targets=(read_target(f"failed webhook http://127.0.0.1:{received.port}/"),))
        many = MOST_WAITING + 8
        with notifying(there) as notifier:
            there.runs.seconds = 0.1
            for _ in range(many):
                there.runs.ends = lambda attempt: FAILED
                operations.trigger(there.state, there.state.schedule("taxi"), "", there.clock.now())
                there.go(1)
            assert notifier.send_waiting() == PER_MINUTE
            assert notifier.send_waiting() == 0
            for _ in range(10):
                there.clock.move(61)
                notifier.send_waiting()
    assert len(received.requests) == MOST_WAITING
    assert [json.loads(body)["dropped"] for _, _, body in received.requests][:2] == [8, 0]
    assert [row.state for row in notices(there)] == ["dropped"] * 8 + ["sent"] * MOST_WAITING


def test_command_gets_the_event_in_its_environment_and_the_body_on_stdin(world: Make) -> None:
    there = world()
    script = there.folder / "page.sh"
    script.write_text('#!/bin/sh\necho "$CAUCE_EVENT $CAUCE_SCHEDULE $1" >> told; cat >> told\n')
    script.chmod(0o755)
    there.add("taxi", Cron("0 6 1 1 *"), targets=(read_target("blocked command './page.sh now'"),))
    with notifying(there) as notifier:
        ran(there, "taxi", BLOCKED)
        assert notifier.send_waiting() == 1
    first, body = (there.folder / "told").read_text().split("\n", 1)
    assert first == "blocked taxi now"
    assert json.loads(body)["reason"] == BLOCKED.reason


@pytest.mark.parametrize(
    ("command", "problem"), [("./nothing.sh", "could not be run"), ("sh -c 'echo no paper >&2; exit 3'", "ended with 3: no paper")]
)
def test_command_that_fails_is_tried_again_with_what_it_said(world: Make, command: str, problem: str) -> None:
    there = world()
    there.add("taxi", Cron("0 6 1 1 *"), targets=(read_target(f'failed command "{command}"'),))
    with notifying(there) as notifier:
        ran(there, "taxi", FAILED)
        assert notifier.send_waiting() == 0
    (row,) = notices(there)
    assert (row.state, row.tries, problem in row.problem) == ("waiting", 1, True), row.problem


def test_mail_is_sent_with_reason_and_links_after_a_login(world: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "password").write_text(f"{SECRET}\n")
    with mail() as received:
        there = world()
        words = f"server=127.0.0.1:{received.port} from=cauce@example.org user=cauce password=file:{tmp_path}/password tls=none"
        there.add("taxi", Cron("0 6 1 1 *"), targets=(read_target(f"failed smtp ops@example.org {words}"),))
        with notifying(there) as notifier:
            ran(there, "taxi", FAILED)
            assert notifier.send_waiting() == 1
    message = message_from_string(received.mails[0])
    assert (message["Subject"], message["To"], message["From"]) == ("cauce: taxi failed", "ops@example.org", "cauce@example.org")
    text = message.get_payload(decode=True).decode()  # type: ignore[union-attr]
    assert FAILED.reason in text
    assert f"show: cauce runs show {there.runs.started[0].run}" in text
    assert base64.b64decode(received.logins[0]).decode().split("\0") == ["", "cauce", SECRET]


def test_mail_that_is_refused_is_tried_again_with_what_the_server_said(world: Make) -> None:
    with mail(refuse=True) as received:
        there = world()
        target = read_target(f"failed smtp nobody@example.org server=127.0.0.1:{received.port} from=c@example.org tls=none")
        there.add("taxi", Cron("0 6 1 1 *"), targets=(target,))
        with notifying(there) as notifier:
            ran(there, "taxi", FAILED)
            assert notifier.send_waiting() == 0
    assert "no such person" in notices(there)[0].problem


def test_no_secret_stands_in_the_database_the_log_or_a_list(
    world: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Also where what was called repeats it in its answer."""
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    monkeypatch.setenv("HOOK_URL", "http://127.0.0.1:1/path-that-is-secret")
    (tmp_path / "password").write_text(SECRET)
    caplog.set_level(logging.DEBUG)
    there = world()
    texts = ["all webhook env:HOOK_URL secret=env:HOOK_SECRET", "all webhook http://127.0.0.1:1/T0/XyZzY-token"]
    texts += [f"all smtp a@example.org server=127.0.0.1:1 from=b@example.org user=b password=file:{tmp_path}/password"]
    there.add("taxi", Cron("0 6 1 1 *"), targets=tuple(read_target(text) for text in texts))
    with notifying(there) as notifier:
        ran(there, "taxi", FAILED, PUSHED)
        monkeypatch.setattr("pipeline.schedule.notifying.send", _repeating)
        notifier.send_waiting()
    kept = " ".join(line for line in sqlite3.connect(there.folder / "schedule.db").iterdump())
    shown = " ".join(shown_target(target) for target in there.state.schedule("taxi").targets)
    for text in (kept, caplog.text, shown):
        assert SECRET not in text
        assert "path-that-is-secret" not in text
    assert "XyZzY-token" not in shown + caplog.text
    assert "the server said ***" in kept
    assert all("webhook" in row.problem or row.problem for row in notices(there))


def _repeating(target: Any, *given: object, **named: object) -> None:
    raise ValueError(f"the server said {SECRET if target.options.get('secret') or target.options.get('password') else 'no'}")


def test_what_a_secret_is_not_is_refused_without_repeating_it() -> None:
    with pytest.raises(Exception, match="expects where a secret is") as raised:
        check_reference(SECRET, "--webhook")
    assert SECRET not in str(raised.value)


def test_missing_secret_is_named_and_waited_for(world: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOOK_SECRET", raising=False)
    with webhooks() as received:
        there = world()
        there.add(
            "taxi", Cron("0 6 1 1 *"), targets=(read_target(f"failed webhook http://127.0.0.1:{received.port}/ secret=env:HOOK_SECRET"),)
        )
        with notifying(there) as notifier:
            ran(there, "taxi", FAILED)
            assert notifier.send_waiting() == 0
            assert "no variable HOOK_SECRET" in notices(there)[0].problem
            monkeypatch.setenv("HOOK_SECRET", SECRET)
            there.clock.move(60)
            assert notifier.send_waiting() == 1


def test_thread_sends_what_waits_and_ends_with_the_daemon(world: Make) -> None:
    with webhooks() as received:
        there = world()
        there.add("taxi", Cron("0 6 1 1 *"), targets=(read_target(f"failed webhook http://127.0.0.1:{received.port}/"),))
        with notifying(there) as notifier:
            ran(there, "taxi", FAILED)
            notifier.begin(there.daemon.lease, threading.Event())
            notifier.end()
    assert len(received.requests) == 1
    assert not any(thread.name == "notifier" for thread in threading.enumerate())
