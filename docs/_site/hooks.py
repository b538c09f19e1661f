"""Has mkdocs take the repository's tree as the site's: docs/, files that pages link to, and made pages."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

sys.path.insert(0, str(Path(__file__).parent))

from pages import DOCS, made_pages

REPOSITORY = Path(__file__).parents[2]
ROOTS = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")
_LINK = re.compile(r"\]\(([^)\s#:]+)(?:#[^)\s]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Each page under its path in the repository, with all that pages link to there; the theme's files stay."""
    made = dict(made_pages())
    found = {file.src_uri: file for file in files if not file.is_documentation_page()}
    queue = [*ROOTS, *(f"{DOCS}/{file.src_uri}" for file in files.documentation_pages())]
    for name, text in made.items():
        found[name] = File.generated(config, name, content=text)
    while queue:
        name = queue.pop()
        if name in found or not (path := REPOSITORY / name).is_file():
            continue
        found[name] = File.generated(config, name, abs_src_path=str(path))
        if name.endswith(".md"):
            queue += _linked(path)
    return Files(found.values())


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Tables of results are not what a search is for, and would swell its index."""
    if page.file.src_uri.startswith("benchmarks/results/"):
        page.meta["search"] = {"exclude": True}
    return markdown


def _linked(page: Path) -> list[str]:
    """Files of the repository that a page links to."""
    targets = (page.parent / target for target in _LINK.findall(page.read_text(encoding="utf-8")))
    inside = (target.resolve() for target in targets)
    return [str(target.relative_to(REPOSITORY)) for target in inside if target.is_relative_to(REPOSITORY)]
