"""Lines of a ledger as text: each ends with a checksum of itself and of all lines before it.

So a line that was changed, taken out, put in or moved is found, and so is a ledger that belongs to another run. Ledgers
of earlier versions have no checksums; their lines are read all the same, and the first line that is added to them
vouches for those before it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, cast

from easyedit_ice.bench.storage.line import PHASES, SCORED, Line
from easyedit_ice.errors import LedgerError

_SEAL = re.compile(rb', "check": "([0-9a-f]{16})"\}$')


@dataclass(frozen=True)
class Read:
    """What a ledger's file holds.

    Attributes:
        lines: the complete ones.
        checks: after each of them the checksum of all until there.
        end: the byte at which they end; what follows was cut off by a kill.
    """

    lines: tuple[Line, ...]
    checks: tuple[str, ...]
    end: int


def origin(identity: Mapping[str, Any]) -> str:
    """The checksum that stands before the first line, of what identifies the run; none where nothing does."""
    return _digest(b"", json.dumps(identity, sort_keys=True, default=str).encode(errors="backslashreplace"))


def sealed(line: Line, before: str) -> tuple[bytes, str]:
    """A line as bytes, and its checksum.

    Args:
        line: of finite numbers.
        before: the checksum of the line before it.
    """
    body = json.dumps(line, ensure_ascii=False, allow_nan=False).encode(errors="surrogatepass")
    check = _digest(before.encode(), body)
    return body[:-1] + f', "check": "{check}"}}\n'.encode(), check


def read_sealed(path: Path, before: str) -> Read:
    """The complete lines of a ledger.

    Args:
        path: of the file.
        before: the checksum before its first line.

    Raises:
        LedgerError: the file cannot be read, or a complete line is not one that a run wrote there; it says which.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise LedgerError(f"{path} cannot be read ({error}); give the folder of a run") from error
    end = data.rfind(b"\n") + 1
    lines: list[Line] = []
    checks: list[str] = []
    vouched = False
    for number, text in enumerate(data[:end].split(b"\n")[:-1], 1):
        seal = _SEAL.search(text)
        check = _digest(before.encode(), text if seal is None else text[: seal.start()] + b"}")
        try:
            if (seal is None and vouched) or (seal is not None and seal[1].decode() != check):
                raise ValueError("its checksum does not fit the line, the lines before it and the manifest")
            lines.append(_sound(json.loads(text), seal is not None))
        except (ValueError, RecursionError) as error:
            raise LedgerError(
                f"line {number} of {path} is not what a run wrote there ({error}); the file or the manifest was "
                f"changed by something else: restore them; or delete line {number} and all after it, and the same "
                "command edits these facts again; or start anew in another folder with out=..."
            ) from error
        before, vouched = check, vouched or seal is not None
        checks.append(check)
    return Read(tuple(lines), tuple(checks), end)


def _sound(line: Any, with_check: bool) -> Line:
    """A line without its checksum.

    Raises:
        ValueError: it is no line of a ledger.
    """
    if not isinstance(line, dict):
        raise ValueError("it is no JSON object")
    if with_check:
        line = {key: value for key, value in line.items() if key != "check"}
    unknown = [key for key in line if key not in Line.__annotations__]
    if unknown:
        raise ValueError(f"it has an unknown entry {unknown[0]!r}")
    if line.get("phase") not in PHASES:
        raise ValueError(f"its phase is {line.get('phase')!r}; expected one of {', '.join(PHASES)}")
    for key in ("position", "step"):
        if type(line.get(key)) is not int or line[key] < 0:
            raise ValueError(f"its {key} is {line.get(key)!r}; expected a whole number from 0")
    if line["phase"] in SCORED and not all(isinstance(line.get(key), dict) for key in ("scores", "case")):
        raise ValueError("it has no scores or no case")
    return cast(Line, line)


def _digest(before: bytes, body: bytes) -> str:
    return blake2b(before + body, digest_size=8).hexdigest()
