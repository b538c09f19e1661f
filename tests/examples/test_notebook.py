"""The notebook, from top to bottom."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).resolve().parents[2] / "examples" / "edit_a_fact.ipynb"

pytestmark = pytest.mark.slow


def executed(folder: Path, monkeypatch: pytest.MonkeyPatch, model: str) -> Any:
    """The notebook with one of its models, run in a folder."""
    monkeypatch.setenv("PYTHONPATH", str(NOTEBOOK.parents[1]))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    choosing = next(cell for cell in notebook.cells if cell.source.startswith("MODEL = "))
    choosing.source = f"MODEL = {model!r}"
    client = NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(folder)}})
    return client.execute()


def shown(notebook: Any) -> str:
    """All that its cells show, but for progress and warnings."""
    outputs = (output for cell in notebook.cells for output in cell.get("outputs", ()))
    texts = (
        output.get("text", "") if output.output_type == "stream" else "\n".join(map(str, output["data"].values()))
        for output in outputs
        if output.get("name") != "stderr"
    )
    return "\n".join(texts)


def promises(text: str, old: str, new: str) -> None:
    """It edits, says so, undoes it to the bit, keeps it in a book, and exports it."""
    assert f"with the edit: {new}" in text
    assert f"without it:    {old}" in text
    assert "\nTrue\n" in f"\n{text}\n"
    assert "Verdict: took" in text
    assert f"with the book: {new}" in text
    assert f"after it:      {old}" in text
    assert text.rstrip().endswith(f"'{new}'") or f"'{new}" in text.splitlines()[-1]


def test_the_notebook_edits_judges_undoes_keeps_and_exports(tmp_path, monkeypatch):
    text = shown(executed(tmp_path, monkeypatch, "gpt2-factworld"))
    promises(text, "Faeso Faerkov has a job at Balmax Group", "Faeso Faerkov has a job at Rinex Brothers")
    assert text.count("<table>") == 4  # settings, verdict, update and book show as tables


def test_what_the_notebook_shows_in_the_repository_is_what_it_does():
    text = shown(nbformat.read(NOTEBOOK, as_version=4))
    promises(text, "Faeso Faerkov has a job at Balmax Group", "Faeso Faerkov has a job at Rinex Brothers")


@pytest.mark.real
def test_the_notebook_does_it_with_a_real_model_too(tmp_path, monkeypatch, smollm2):
    text = shown(executed(tmp_path, monkeypatch, smollm2))
    prompt = "The mother tongue of Danielle Darrieux is"
    promises(text, f"{prompt} French", f"{prompt} English")
