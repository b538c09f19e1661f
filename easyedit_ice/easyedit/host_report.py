"""What an installation consists of, and what to do about what is missing."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Literal

import psutil

from easyedit_ice.easyedit.loading.placeholders import OPTIONAL, stood_in
from easyedit_ice.easyedit.locate import HOME, REMEDY, TESTED, host_info
from easyedit_ice.edit.registry import ALGORITHMS
from easyedit_ice.errors import HostError
from easyedit_ice.factworld import model_path

Status = Literal["ok", "warn", "missing"]
# Package -> what it is for, if the package works without it.
_REQUIRED = {
    "torch": None,
    "transformers": None,
    "peft": None,
    "accelerate": "loading over several GPUs (model_parallel)",
    "bitsandbytes": "loading in 4 or 8 bits (quantization_bit)",
    "datasets": "EasyEdit itself",
}


@dataclass(frozen=True)
class Check:
    """One line of the report.

    Attributes:
        name: what was looked at.
        status: ``"ok"``; ``"warn"`` if something works less well without it; ``"missing"`` if nothing works.
        value: what was found.
        remedy: what to do about it; empty if nothing.
    """

    name: str
    status: Status
    value: str
    remedy: str = ""


def doctor() -> list[Check]:
    """Look at everything the package works with. Loads EasyEdit, which takes seconds; never raises."""
    checks = [Check("python", "ok", platform.python_version())]
    checks += [_package(name, purpose) for name, purpose in _REQUIRED.items()]
    checks += [*_devices(), *_host(), *_algorithms(), *_optional(), *_nltk_data(), _world()]
    return checks


def _package(name: str, purpose: str | None) -> Check:
    try:
        return Check(name, "ok", version(name))
    except PackageNotFoundError:
        needed = f"needed for {purpose}: " if purpose else ""
        return Check(name, "warn" if purpose else "missing", "not installed", f"{needed}pip install {name}")


def _devices() -> Iterator[Check]:
    try:
        import torch
    except (ImportError, OSError) as error:
        yield Check("devices", "missing", f"torch does not load ({error})", "install torch again")
        return
    memory = psutil.virtual_memory().total
    yield Check("device cpu", "ok", f"{os.cpu_count()} cores, {_gigabytes(memory)}")
    for number in range(torch.cuda.device_count()):
        name = f"device cuda:{number}"
        try:
            free, total = torch.cuda.mem_get_info(number)
        except RuntimeError as error:
            yield Check(name, "warn", f"cannot be used ({error})", "see whether another process holds it: nvidia-smi")
            continue
        value = f"{torch.cuda.get_device_name(number)}, {_gigabytes(free)} of {_gigabytes(total)} free"
        yield Check(name, "ok", value)
    if not torch.cuda.is_available():
        built = f"CUDA {torch.version.cuda}" if torch.version.cuda else "the CPU only"
        remedy = "to use a GPU, install its driver and a torch built for CUDA"
        yield Check("device cuda", "warn", f"none; torch is built for {built}", remedy)


def _host() -> Iterator[Check]:
    home = os.environ.get(HOME)
    try:
        info = host_info()
    except HostError as error:
        yield Check("EasyEdit", "missing", f"not found ({HOME} is {home or 'not set'})", str(error))
        return
    yield Check("EasyEdit", "ok", f"{info.kind} {info.version} in {info.path}")
    yield Check(HOME, "ok", home or "not set")
    yield _loads()


def _loads() -> Check:
    """Whether EasyEdit loads and knows our algorithms."""
    try:
        from easyedit_ice.easyedit.plugin.registration import register

        register()
    except Exception as error:  # Whatever a broken installation raises belongs into the report.
        return Check("EasyEdit loads", "missing", f"{type(error).__name__}: {error}", f"use {TESTED}: {REMEDY}")
    return Check("EasyEdit loads", "ok", "knows the algorithms of this package")


def _optional() -> Iterator[Check]:
    for name, distribution in sorted(OPTIONAL.items()):
        if find_spec(name) is None:
            value = "not installed; stood in for" if name in stood_in else "not installed"
            yield Check(name, "warn", value, f"only where EasyEdit needs it: pip install {distribution}")
        else:
            yield Check(name, "ok", _version_of(distribution))
    for name, reason in stood_in.items():
        if name not in OPTIONAL:
            yield Check(name, "warn", "stood in for", reason)


def _algorithms() -> Iterator[Check]:
    """Algorithms of other packages that cannot be loaded."""
    for name, why in ALGORITHMS.broken.items():
        yield Check(f"algorithm {name}", "warn", f"left out: {why}", "mend or uninstall the package that adds it")


def _nltk_data() -> Iterator[Check]:
    """EasyEdit's ``test_generation`` splits text into words with nltk's data, which nltk does not come with."""
    if find_spec("nltk") is None:
        return
    from nltk import data

    try:
        yield Check("nltk punkt_tab", "ok", str(data.find("tokenizers/punkt_tab")))
    except LookupError:
        remedy = "only for EasyEdit's test_generation=True: python -m nltk.downloader punkt_tab"
        yield Check("nltk punkt_tab", "warn", "not downloaded", remedy)


def _version_of(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "installed"


def _world() -> Check:
    folder = model_path()
    if (folder / "config.json").is_file():
        return Check("embedded model", "ok", str(folder))
    return Check("embedded model", "warn", f"{folder} is not there", "install this package again, from a full copy")


def _gigabytes(size: int) -> str:
    return f"{size / 2**30:.1f} GiB"
