"""The page itself, and how it is served."""

from __future__ import annotations

import pytest

from easyedit_ice.cli import main


def test_without_gradio_the_command_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setattr("easyedit_ice.extras.find_spec", lambda name: None)
    assert main(["ui"]) == 2
    printed = capsys.readouterr()
    assert "MissingExtraError: the page needs gradio" in printed.err
    assert "pip install 'easyedit-ice[ui]'" in printed.err


@pytest.mark.slow
def test_the_page_is_served_to_this_machine_alone_and_names_no_other(bench, tmp_path):
    pytest.importorskip("gradio")
    from urllib.request import urlopen

    from easyedit_ice.ui.desk import Desk
    from easyedit_ice.ui.serve import serve

    served = serve(Desk(bench), str(tmp_path / "book"))
    try:
        assert served.address.startswith("http://127.0.0.1:")
        html = urlopen(served.address).read().decode()
        assert "Edit a fact" in html
        for elsewhere in ("fonts.googleapis", "cdnjs", "jsdelivr", "google-analytics"):
            assert elsewhere not in html
    finally:
        served.close()
