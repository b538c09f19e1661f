"""A model behind an OpenAI-compatible endpoint as judge."""

from __future__ import annotations

import http.client
import json
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from easyedit_ice.errors import JudgeError
from easyedit_ice.evaluation.judging.case import TEMPLATE, Case, text_for
from easyedit_ice.runtime.untrusted import parsed_json

_VERDICT = re.compile(r"\b(yes|no)\b", re.IGNORECASE)
_TRIES = 3
_BUSY = (429, 500, 502, 503, 504)
_REMEDY = "see what it lacks"
_REMEDIES = {
    **dict.fromkeys((301, 302, 303, 307, 308), "give the address that it points to, if you trust it with the key"),
    **dict.fromkeys((401, 403), "name the variable of a key that it takes by evaluation.judge_key"),
    **dict.fromkeys((404, 405), "give its address up to and with /v1, and a model that it has"),
    **dict.fromkeys(_BUSY, "try again later"),
}
"""What to do about a refusal, by its code."""
_TOKENS = 16
_MOST_BYTES = 2**20
_PIECE = 2**16
MOST_SECONDS = 86_400
"""Longest time to wait for an answer: a day."""
_HERE = ("localhost", "127.0.0.1", "::1")


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect is an error: it would take the key to another host."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """None is followed."""


class EndpointJudge:
    """Asks ``POST <address>/chat/completions`` of each case, at temperature 0, and reads the first Yes or No.

    Args:
        address: up to and with ``/v1``.
        model: as the endpoint names it.
        key: name of the environment variable that holds the key; none to send none.
        timeout: of each request, in seconds. Where the endpoint is busy it is asked three times in all.

    Raises:
        JudgeError: the address is none, or holds more than an address; a key would go to another machine unencrypted;
            the variable is not set, or its value cannot be sent; the timeout is no time.
    """

    def __init__(self, address: str, model: str, key: str | None = None, timeout: float = 60.0) -> None:
        scheme, host = _checked(address)
        if key is not None:
            if scheme == "http" and host not in _HERE:
                raise JudgeError(f"the key of {key} would go unencrypted to {host}; give an address of https")
            _check_key(key)
        if not 0 < timeout <= MOST_SECONDS:
            raise JudgeError(f"the timeout is {timeout} s; expected more than 0, and {MOST_SECONDS} at most")
        self._address, self._model, self._key, self._timeout = address.rstrip("/"), model, key, timeout
        self._opener = urllib.request.build_opener(_NoRedirects)
        self._verdicts: dict[str, bool] = {}

    def verdicts(self, cases: Sequence[Case]) -> list[bool]:
        """Whether the endpoint's model says Yes of each answer; of equal cases one is asked.

        Raises:
            JudgeError: the endpoint cannot be reached, refuses, or says neither Yes nor No; it says of which case.
        """
        texts = [text_for(case) for case in cases]
        for text in texts:
            if text not in self._verdicts:
                self._verdicts[text] = self._verdict(text)
        return [self._verdicts[text] for text in texts]

    def entry(self) -> dict[str, Any]:
        """Address, model and template."""
        return {"address": self._address, "model": self._model, "template": TEMPLATE}

    def _verdict(self, text: str) -> bool:
        said = self._said(text)
        match = _VERDICT.search(said)
        if match is None:
            raise self._failed(f"said {said[:80]!r} of {text!r}, which is neither Yes nor No", "choose another model")
        return match[1].lower() == "yes"

    def _said(self, text: str) -> str:
        body = {
            "model": self._model,
            "messages": [{"role": "user", "content": text}],
            "temperature": 0,
            "max_tokens": _TOKENS,
        }
        answer = self._answer(json.dumps(body).encode())
        try:
            said = parsed_json(answer)["choices"][0]["message"]["content"]
        except (ValueError, KeyError, IndexError, TypeError):
            said = None
        if not isinstance(said, str):
            raise self._failed(
                f"answered {answer[:80]!r}, which is no chat completion", "give an OpenAI-compatible address"
            )
        return said

    def _answer(self, body: bytes) -> str:
        headers = {"Content-Type": "application/json"}
        if self._key is not None:
            headers["Authorization"] = f"Bearer {os.environ[self._key]}"
        request = urllib.request.Request(f"{self._address}/chat/completions", body, headers)
        for attempt in range(1, _TRIES + 1):
            try:
                until = time.monotonic() + self._timeout
                with self._opener.open(request, timeout=self._timeout) as reply:
                    return str(_read(reply, until), "utf-8", "replace")
            except urllib.error.HTTPError as error:
                if error.code not in _BUSY or attempt == _TRIES:
                    raise self._failed(
                        f"refused with {error.code} {error.reason} ({_told(error)})", _REMEDIES.get(error.code, _REMEDY)
                    ) from error
            except (OSError, http.client.HTTPException) as error:
                if isinstance(getattr(error, "reason", error), TimeoutError):
                    raise self._failed(
                        f"gave no answer within {self._timeout:g} s", "raise evaluation.judge_timeout"
                    ) from error
                raise self._failed(f"cannot be reached ({error})", "see whether it runs there") from error
            time.sleep(2.0 ** (attempt - 2))
        raise AssertionError("the last attempt returns or raises")

    def _failed(self, what: str, remedy: str) -> JudgeError:
        """The error; an endpoint that repeats the key it was sent is not repeated."""
        if self._key is not None:
            what = what.replace(os.environ[self._key], f"${self._key}")
        return JudgeError(f"the judge {self._model} at {self._address} {what}; {remedy}. What was done before is kept")


def _checked(address: str) -> tuple[str, str]:
    """Scheme and host of an address.

    Raises:
        JudgeError: it is none that can be asked, or holds what a ledger should not: a password, or a query.
    """
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
        fits = parts.scheme in ("http", "https") and bool((host or "").encode("idna")) and address.isprintable()
        fits = fits and parts.path.isascii() and " " not in address
    except ValueError:
        fits, host = False, None
    if not fits or host is None:
        raise JudgeError(f"{address!r} is no address of an endpoint; expected one as https://host/v1")
    if parts.username is not None or parts.query or parts.fragment:
        raise JudgeError(
            f"the judge's address at {host} holds a user's name, a query or a fragment, and is kept with the run; give "
            "one as https://host/v1, and name the variable of a key"
        )
    return parts.scheme, host


def _check_key(name: str) -> None:
    """Look at a key without telling it.

    Raises:
        JudgeError: its variable is not set, or the value cannot stand in a header.
    """
    key = os.environ.get(name)
    if not key:
        raise JudgeError(f"the environment variable {name} is not set; set it to the endpoint's key, or name another")
    if not (key.isascii() and key.isprintable()):
        raise JudgeError(
            f"the environment variable {name} holds a line break or a letter that no key has; set it to the key alone"
        )


def _read(reply: Any, until: float) -> bytes:
    """What is answered, up to a size and a time.

    Raises:
        TimeoutError: it takes longer, though something arrives now and then.
    """
    read = b""
    while len(read) < _MOST_BYTES and (piece := reply.read1(_PIECE)):
        read += piece
        if time.monotonic() > until:
            raise TimeoutError
    return read


def _told(error: urllib.error.HTTPError) -> str:
    """What an endpoint says of its refusal: where it points to, or the beginning of its text."""
    try:
        return error.headers.get("Location") or str(error.read(200), "utf-8", "replace")
    except (OSError, http.client.HTTPException):
        return ""
