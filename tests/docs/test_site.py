"""The documentation's site: made pages miss nothing, and it builds without a warning."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from pkgutil import resolve_name

import pytest

REPOSITORY = Path(__file__).parents[2]
sys.path.insert(0, str(REPOSITORY / "docs" / "_site"))

import pages  # noqa: E402 - it lies beside the site's other parts


def test_every_error_has_its_advice_and_no_advice_is_of_an_error_that_is_gone():
    assert sorted(pages.remedies()) == sorted(own.__name__ for own in pages.error_classes())


def test_every_error_is_told_by_name_with_when_it_is_raised_and_what_to_do():
    text = dict(pages.made_pages())["docs/troubleshooting.md"]

    for own in pages.error_classes():
        section = text.split(f"\n## {own.__name__}\n")[1].split("\n## ")[0]
        assert pages.remedies()[own.__name__].strip() in section
        assert len(section.strip().split("\n\n")) >= 2


@pytest.mark.parametrize("name", [name for page in pages.api_pages().values() for name in page["names"]])
def test_every_name_of_the_reference_exists_and_is_explained(name):
    assert resolve_name(name).__doc__


@pytest.mark.slow
def test_code_of_the_tutorial_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (REPOSITORY / "docs/tutorial.md").read_text(encoding="utf-8"), re.S)
    names: dict = {}

    for block in blocks:
        exec(block, names)

    assert (tmp_path / "my-edit" / "update.safetensors").is_file()
    written = names["update"].info["facts"]
    assert len(written) == 5


@pytest.mark.slow
def test_the_site_builds_without_warnings_and_needs_nothing_from_elsewhere(tmp_path):
    if find_spec("mkdocs") is None or find_spec("mkdocstrings") is None:
        pytest.skip("mkdocs is not installed; `make docs` installs it")

    subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(tmp_path)],
        check=True,
        cwd=REPOSITORY,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )

    built = {str(path.relative_to(tmp_path)): path.read_text(encoding="utf-8") for path in tmp_path.rglob("*.html")}
    assert {"index.html", "docs/tutorial.html", "docs/api/public.html", "docs/troubleshooting.html"} <= set(built)
    for page in built.values():
        assert not re.findall(r'<(?:script|img|iframe)[^>]+src="https?:|<link[^>]+stylesheet[^>]+href="https?:', page)
