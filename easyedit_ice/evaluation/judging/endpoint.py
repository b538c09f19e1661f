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
_TOKENS = 16
_MOST_BYTES = 2**20
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
        JudgeError: the address is none, a key would go to another machine unencrypted, or the variable is not set.
    """

    def __init__(self, address: str, model: str, key: str | None = None, timeout: float = 60.0) -> None:
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise JudgeError(f"{address!r} is no address of an endpoint; expected one as https://host/v1")
        if key is not None and parts.scheme == "http" and parts.hostname not in _HERE:
            raise JudgeError(f"the key of {key} would go unencrypted to {parts.hostname}; give an address of https")
        if key is not None and not os.environ.get(key):
            raise JudgeError(
                f"the environment variable {key} is not set; set it to the endpoint's key, or name another"
            )
        self._address, self._model, self._key, self._timeout = address.rstrip("/"), model, key, timeout
        self._opener = urllib.request.build_opener(_NoRedirects)
        self._found: dict[str, bool] = {}

    def verdicts(self, cases: Sequence[Case]) -> list[bool]:
        """Whether the endpoint's model says Yes of each answer; of equal cases one is asked.

        Raises:
            JudgeError: the endpoint cannot be reached, refuses, or says neither Yes nor No; it says of which case.
        """
        texts = [text_for(case) for case in cases]
        for text in texts:
            if text not in self._found:
                self._found[text] = self._verdict(text)
        return [self._found[text] for text in texts]

    def entry(self) -> dict[str, Any]:
        """Address, model and template."""
        return {"address": self._address, "model": self._model, "template": TEMPLATE}

    def _verdict(self, text: str) -> bool:
        said = self._said(text)
        found = _VERDICT.search(said)
        if found is None:
            raise self._failed(f"said {said[:80]!r} of {text!r}, which is neither Yes nor No", "choose another model")
        return found[1].lower() == "yes"

    def _said(self, text: str) -> str:
        body = {
            "model": self._model,
            "messages": [{"role": "user", "content": text}],
            "temperature": 0,
            "max_tokens": _TOKENS,
        }
        answer = self._answer(json.dumps(body).encode())
        try:
            return str(parsed_json(answer)["choices"][0]["message"]["content"])
        except (ValueError, KeyError, IndexError, TypeError) as error:
            raise self._failed(
                f"answered {answer[:80]!r}, which is no chat completion", "give an OpenAI-compatible address"
            ) from error

    def _answer(self, body: bytes) -> str:
        headers = {"Content-Type": "application/json"}
        if self._key is not None:
            headers["Authorization"] = f"Bearer {os.environ[self._key]}"
        request = urllib.request.Request(f"{self._address}/chat/completions", body, headers)
        for attempt in range(1, _TRIES + 1):
            try:
                with self._opener.open(request, timeout=self._timeout) as reply:
                    return str(reply.read(_MOST_BYTES), "utf-8", "replace")
            except urllib.error.HTTPError as error:
                if error.code not in _BUSY or attempt == _TRIES:
                    told = str(error.read(200), "utf-8", "replace")
                    raise self._failed(f"refused with {error.code} {error.reason} ({told})", "mend that") from error
            except (OSError, http.client.HTTPException) as error:
                if isinstance(getattr(error, "reason", error), TimeoutError):
                    raise self._failed(
                        f"gave no answer within {self._timeout:g} s", "raise evaluation.judge_timeout"
                    ) from error
                raise self._failed(f"cannot be reached ({error})", "see whether it runs there") from error
            time.sleep(2.0 ** (attempt - 2))
        raise AssertionError("the last attempt returns or raises")

    def _failed(self, what: str, remedy: str) -> JudgeError:
        return JudgeError(f"the judge {self._model} at {self._address} {what}; {remedy}. What was done before is kept")
