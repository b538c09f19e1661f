"""Judges: a model's Yes against its No, an endpoint, and their agreement with exact match."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from easyedit_ice import factworld
from easyedit_ice.errors import JudgeError
from easyedit_ice.evaluation.judging import Case, EndpointJudge, ModelJudge, agreement, text_for
from easyedit_ice.evaluation.judging import endpoint as endpoint_module
from easyedit_ice.evaluation.likelihood import alternatives
from easyedit_ice.runtime.cache import fingerprint

RIGHT = Case("The capital of France is", "Lyon, of course", "Lyon")
WRONG = Case("The capital of France is", "Paris", "Lyon")
Reply = tuple[int, Any] | Callable[[dict[str, Any]], tuple[int, Any]]


def said(text: str) -> dict[str, Any]:
    return {"choices": [{"message": {"role": "assistant", "content": text}}]}


class Endpoint:
    """A server in this process that answers as it is told, and remembers what it was asked."""

    def __init__(self) -> None:
        self.replies: list[Reply] = []
        self.asked: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.asked.append(body | {"path": self.path})
                outer.keys.append(self.headers.get("Authorization"))
                reply = outer.replies.pop(0) if len(outer.replies) > 1 else outer.replies[0]
                status, content = reply(body) if callable(reply) else reply
                trickles = callable(content)
                data = (
                    b" " * 100 if trickles else content if isinstance(content, bytes) else json.dumps(content).encode()
                )
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", "http://127.0.0.1:9/elsewhere")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                with contextlib.suppress(OSError):
                    _ = content(self.wfile) if trickles else self.wfile.write(data)

            def log_message(self, *_: Any) -> None:
                """Nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}/v1"


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(endpoint_module.time, "sleep", lambda seconds: None)
    found = Endpoint()
    thread = threading.Thread(target=found.server.serve_forever, args=(0.05,))
    thread.start()
    yield found
    found.server.shutdown()
    thread.join()
    found.server.server_close()


def by_gold(body: dict[str, Any]) -> tuple[int, Any]:
    """Yes where the given answer holds the right one."""
    lines = dict(line.split(": ", 1) for line in body["messages"][0]["content"].splitlines() if ": " in line)
    return 200, said("Yes." if lines["Correct answer"] in lines["Given answer"] else "No, it is not.")


def test_an_endpoint_is_asked_once_of_equal_cases_with_the_key_of_the_variable(
    served: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    served.replies = [by_gold]
    monkeypatch.setenv("OUR_KEY", "secret")
    judge = EndpointJudge(served.address, "judge-1", "OUR_KEY")
    assert judge.verdicts([RIGHT, WRONG, RIGHT]) == [True, False, True]
    assert [body["path"] for body in served.asked] == ["/v1/chat/completions"] * 2
    assert all(body["model"] == "judge-1" and body["temperature"] == 0 for body in served.asked)
    assert served.keys == ["Bearer secret"] * 2
    assert "secret" not in json.dumps(judge.entry())


def test_no_key_is_sent_unless_a_variable_is_named(served: Endpoint) -> None:
    served.replies = [by_gold]
    assert EndpointJudge(served.address, "judge-1").verdicts([WRONG]) == [False]
    assert served.keys == [None]


def test_a_busy_endpoint_is_asked_again(served: Endpoint) -> None:
    served.replies = [(429, {}), (503, {}), (200, said("**Yes**"))]
    assert EndpointJudge(served.address, "judge-1").verdicts([RIGHT]) == [True]
    served.replies = [(503, b"down")]
    with pytest.raises(JudgeError, match=r"refused with 503 .*down"):
        EndpointJudge(served.address, "judge-1").verdicts([RIGHT])


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        ((401, {"error": "no such key"}), "refused with 401 .*no such key"),
        ((302, {}), "refused with 302"),
        ((200, b"<html>"), "no chat completion"),
        ((200, {"choices": []}), "no chat completion"),
        ((200, {"choices": [{"message": {"content": None}}]}), "no chat completion"),
        ((200, said("It depends.")), "neither Yes nor No"),
    ],
)
def test_what_is_no_verdict_is_an_error_that_says_so(served: Endpoint, reply: Reply, told: str) -> None:
    served.replies = [reply]
    with pytest.raises(JudgeError, match=told):
        EndpointJudge(served.address, "judge-1").verdicts([RIGHT])
    assert len(served.asked) == 1


def test_an_endpoint_that_does_not_answer_ends_in_a_named_error(served: Endpoint) -> None:
    def slow(body: dict[str, Any]) -> tuple[int, Any]:
        time.monotonic()
        threading.Event().wait(0.6)
        return 200, said("Yes")

    served.replies = [slow]
    with pytest.raises(JudgeError, match=r"no answer within 0\.2 s.*judge_timeout"):
        EndpointJudge(served.address, "judge-1", timeout=0.2).verdicts([RIGHT])


def test_an_answer_that_trickles_in_is_not_waited_for_longer_than_was_said(served: Endpoint) -> None:
    def trickling(reply: Any) -> None:
        for _ in range(20):
            reply.write(b" ")
            reply.flush()
            threading.Event().wait(0.05)

    served.replies = [(200, trickling)]
    started = time.monotonic()
    with pytest.raises(JudgeError, match=r"no answer within 0\.2 s"):
        EndpointJudge(served.address, "judge-1", timeout=0.2).verdicts([RIGHT])
    assert time.monotonic() - started < 0.9


def test_a_refusal_says_what_to_do_and_does_not_repeat_the_key(
    served: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUR_KEY", "secret")
    served.replies = [(401, b"no such key: secret")]
    with pytest.raises(JudgeError, match=r"no such key: \$OUR_KEY.*evaluation\.judge_key") as refused:
        EndpointJudge(served.address, "judge-1", "OUR_KEY").verdicts([RIGHT])
    assert "secret" not in str(refused.value)
    served.replies = [(302, b"")]
    with pytest.raises(JudgeError, match=r"http://127\.0\.0\.1:9/elsewhere.*address that it points to"):
        EndpointJudge(served.address, "judge-1").verdicts([RIGHT])


def test_where_nobody_listens_the_address_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(endpoint_module.time, "sleep", lambda seconds: None)
    with pytest.raises(JudgeError, match=r"http://127\.0\.0\.1:9/v1 cannot be reached"):
        EndpointJudge("http://127.0.0.1:9/v1", "judge-1").verdicts([RIGHT])


def test_addresses_and_keys_that_will_not_do_are_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUR_KEY", "secret")
    with pytest.raises(JudgeError, match="no address"):
        EndpointJudge("ftp://host/v1", "judge-1")
    with pytest.raises(JudgeError, match=r"unencrypted to example.org"):
        EndpointJudge("http://example.org/v1", "judge-1", "OUR_KEY")
    with pytest.raises(JudgeError, match="NO_KEY is not set"):
        EndpointJudge("https://example.org/v1", "judge-1", "NO_KEY")


@pytest.mark.parametrize(
    "address",
    [
        "http://",
        "http://[::1",
        "http://host:port/v1",
        "http://host:99999/v1",
        "http://a host/v1",
        "http://.host/v1",
        f"http://{'h' * 70}/v1",
        "http://host/vé",
        "http://host/v1\n",
    ],
)
def test_what_is_no_address_is_refused_by_name(address: str) -> None:
    with pytest.raises(JudgeError, match=r"is no address of an endpoint"):
        EndpointJudge(address, "judge-1")


@pytest.mark.parametrize(
    "address", ["https://me:secret@host/v1", "https://host/v1?key=secret", "https://host/v1#secret"]
)
def test_an_address_with_a_secret_is_refused_and_not_repeated(address: str) -> None:
    with pytest.raises(JudgeError, match=r"name the variable of a key") as refused:
        EndpointJudge(address, "judge-1")
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("key", ["secret\n", "sécret"])
def test_a_key_that_cannot_be_sent_is_refused_and_not_repeated(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUR_KEY", key)
    with pytest.raises(JudgeError, match=r"OUR_KEY holds a line break or a letter that no key has") as refused:
        EndpointJudge("https://host/v1", "judge-1", "OUR_KEY")
    assert "cret" not in str(refused.value)


@pytest.mark.parametrize("timeout", [0.0, -1.0, float("nan"), float("inf"), 1e30])
def test_a_timeout_that_is_no_time_is_refused(timeout: float) -> None:
    with pytest.raises(JudgeError, match=r"the timeout is .* expected more than 0"):
        EndpointJudge("https://host/v1", "judge-1", timeout=timeout)


def test_a_model_judges_by_yes_against_no_after_the_template_and_stays_as_it_was() -> None:
    model, tok = factworld.load()
    before = fingerprint(model.state_dict().items())
    judge = ModelJudge(model, tok, "world")
    verdicts = judge.verdicts([RIGHT, WRONG, RIGHT])
    pairs = alternatives(model, tok, [(f"{text_for(case)}\nReply:", ("Yes", "No")) for case in (RIGHT, WRONG)])
    assert verdicts == [pairs[0][0] > pairs[0][1], pairs[1][0] > pairs[1][1], pairs[0][0] > pairs[0][1]]
    assert fingerprint(model.state_dict().items()) == before == judge.entry()["fingerprint"]


def test_agreement_is_share_and_cohens_kappa() -> None:
    pairs = [(True, True)] * 20 + [(True, False)] * 5 + [(False, True)] * 10 + [(False, False)] * 15
    found = agreement(pairs)
    assert (found.cases, found.share, found.only_judge, found.only_exact) == (50, 0.7, 5, 10)
    assert found.kappa == pytest.approx(0.4)
    assert agreement([(True, True)]).kappa is None
    assert agreement([(True, False), (False, True)]).kappa == pytest.approx(-1)
