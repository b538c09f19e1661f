"""The page in a real browser: needs playwright and a Chromium (``$CHROMIUM``, or one on the path)."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from easyedit_ice.ui.desk import Desk

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
WAIT = 60_000
"""Milliseconds for which anything is waited for."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("needs a Chromium: none is on the path, and $CHROMIUM names none")
    pytest.importorskip("gradio")
    with pytest.importorskip("playwright.sync_api").sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def served(bench, made, tmp_path, monkeypatch) -> Iterator[Any]:
    """The page, on which an edit is made at once."""
    from easyedit_ice.ui.serve import serve

    monkeypatch.setattr(type(bench), "make", lambda self, fact, *_: replace(made, made_with=self.within))
    page = serve(Desk(bench), str(tmp_path / "book"))
    yield page
    page.close()


@pytest.mark.parametrize("width", [1200, 390])
def test_a_fact_is_edited_looked_at_kept_and_undone(browser, served, bench, tmp_path, width):
    page = browser.new_page(viewport={"width": width, "height": 844})
    page.set_default_timeout(WAIT)
    asked, wrong = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: wrong.append(error))
    page.goto(served.address)
    page.click("#example")
    page.wait_for_function("document.querySelector('#prompt textarea, #prompt input').value.includes('Faeso')")
    page.click("#edit")
    page.wait_for_selector("#body .ice-tiles")
    page.wait_for_selector("#message :text('is in the model')")
    assert "✓ written" in page.inner_text("#body")
    page.click("#keep")
    page.wait_for_selector("#message :text('Kept in')")
    assert (tmp_path / "book" / "book.json").is_file()
    page.click("#undo")
    page.wait_for_selector("#state :text('every weight has the bits')")
    assert bench.untouched
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert not wrong
    assert [url for url in asked if not url.startswith((served.address, "data:", "blob:"))] == []
    page.close()


def test_an_error_stands_on_the_page_in_words(browser, served):
    page = browser.new_page()
    page.set_default_timeout(WAIT)
    page.goto(served.address)
    page.click("#edit")
    page.wait_for_selector("#message .ice-bad")
    assert "is empty; write something there" in page.inner_text("#message")
    page.close()
