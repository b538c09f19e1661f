"""The manifest of a run: all that its numbers depend on, and what it takes for two runs to be of the same kind."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from platform import python_version
from typing import Any, cast

import easyedit_ice
from easyedit_ice.bench.storage.manifest_entries import Manifest, Session
from easyedit_ice.bench.storage.run_folder import write_atomically
from easyedit_ice.bench.storage.sealed_lines import origin
from easyedit_ice.edit.registry import ALGORITHMS
from easyedit_ice.errors import LedgerError, OtherRunError
from easyedit_ice.runtime.untrusted import parsed_json

MANIFEST = "manifest.json"
PACKAGES = ("torch", "transformers", "peft", "tokenizers", "numpy")
IDENTITY = ("algorithm", "kind", "mode", "model", "data", "known_facts", "evaluation", "hparams", "seed", "host")
"""Entries that must be the same for a run to be resumed."""


def versions() -> dict[str, str]:
    """Versions of Python, of this package and of those that compute."""
    numbers = {"python": python_version(), "easyedit_ice": easyedit_ice.__version__}
    for package in PACKAGES:
        try:
            numbers[package] = version(package)
        except PackageNotFoundError:
            numbers[package] = "not installed"
    return numbers


def git_revision() -> str | None:
    """Commit of the checkout this package runs from, with a ``+`` if files were changed; none if installed."""
    folder = Path(__file__).parent
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--abbrev=12", "--dirty=+", "--exclude=*"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return described.stdout.strip() or None


def data_hash(records: Sequence[Mapping[str, Any]]) -> str:
    """Hash of what records say, whatever file they come from."""
    text = json.dumps(list(records), sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def now() -> str:
    """The time, in UTC, to the second."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def enter(folder: Path, manifest: Manifest) -> Manifest:
    """Begin a run in a folder, or go on with the one it holds.

    Args:
        folder: the run's.
        manifest: of the run that is to begin; if one is there, this time is added to its ``resumed``.

    Returns:
        what the folder's manifest now holds.

    Raises:
        OtherRunError: the folder holds a run of other settings.
        LedgerError: the folder's manifest cannot be read, or not be written.
    """
    path = folder / MANIFEST
    if path.exists():
        earlier = read(folder)
        _refuse_others(earlier, manifest, folder)
        manifest = {**earlier, "resumed": [*earlier.get("resumed", []), _session(manifest)]}
    text = json.dumps(manifest, indent=1, ensure_ascii=False) + "\n"
    write_atomically(path, text.encode(errors="backslashreplace"))
    return read(folder)


def read(folder: Path) -> Manifest:
    """A folder's manifest.

    Raises:
        LedgerError: there is none, it cannot be read, or it is not the manifest of a run.
    """
    path = Path(folder) / MANIFEST
    try:
        manifest = parsed_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise LedgerError(f"{folder} holds no {MANIFEST}: it is not the folder of a run") from None
    except OSError as error:
        raise LedgerError(f"{path} cannot be read ({error}); restore it, or start anew in another folder") from error
    except ValueError as error:
        raise LedgerError(
            f"{path} is not JSON that can be read ({error}); restore it, or start anew in another folder"
        ) from error
    if not isinstance(manifest, dict) or not isinstance(manifest.get("resumed", []), list):
        raise LedgerError(
            f"{path} is not the manifest of a run: expected an object whose entry 'resumed', if there is one, is a "
            "list; restore it, or start anew in another folder"
        )
    return cast(Manifest, manifest)


def origin_of(folder: Path) -> str:
    """The checksum before the first line of a folder's ledger: of all entries that make this run the one it is.

    Raises:
        LedgerError: the folder has no manifest that can be read.
    """
    manifest = read(folder)
    return origin({key: manifest.get(key) for key in IDENTITY})


def differences(one: Mapping[str, Any], other: Mapping[str, Any], keys: Iterable[str]) -> list[str]:
    """What differs between two manifests, as ``mode.batch_size: 1, not 10``."""
    first, second = ({key: whole.get(key) for key in keys} for whole in (one, other))
    return [f"{path}: {left!r}, not {right!r}" for path, left, right in _leaves(first, second) if left != right]


def _session(manifest: Manifest) -> Session:
    return {
        "started": manifest["started"],
        "versions": manifest["versions"],
        "git": manifest["git"],
        "command": manifest["command"],
    }


def _leaves(one: Any, other: Any, path: str = "") -> Iterable[tuple[str, Any, Any]]:
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        for key in dict.fromkeys([*one, *other]):
            yield from _leaves(one.get(key), other.get(key), f"{path}.{key}" if path else str(key))
    else:
        yield path, one, other


def _as_now(manifest: Manifest) -> Manifest:
    """A manifest without settings that its algorithm once had, where they changed nothing."""
    if manifest.get("kind") != "ours" or manifest.get("algorithm") not in ALGORITHMS:
        return manifest
    settings = ALGORITHMS[manifest["algorithm"]].hparams_class.without_earlier(manifest.get("hparams", {}))
    return {**manifest, "hparams": settings}


def _is_new(difference: str) -> bool:
    """Whether an entry is one that runs of earlier versions lack, and that changes no number they have."""
    return difference.startswith("evaluation.undo: None, not ")


def _refuse_others(earlier: Manifest, manifest: Manifest, folder: Path) -> None:
    differing = [entry for entry in differences(_as_now(earlier), manifest, IDENTITY) if not _is_new(entry)]
    if differing:
        raise OtherRunError(
            f"{folder} holds a run of other settings ({'; '.join(differing)}); give this one a folder of its own with "
            "out=..., or run with the settings of the first"
        )
