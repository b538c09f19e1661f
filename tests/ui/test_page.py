"""The page itself, and how it is served."""

from __future__ import annotations

import socket

import pytest

from easyedit_ice.cli import main


def test_without_gradio_the_command_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setattr("easyedit_ice.runtime.extras.find_spec", lambda name: None)
    assert main(["ui"]) == 2
    printed = capsys.readouterr()
    assert "MissingExtraError: the page needs gradio" in printed.err
    assert "pip install 'easyedit-ice[ui]'" in printed.err


def test_a_port_that_is_taken_is_told(bench, tmp_path):
    pytest.importorskip("gradio")
    from easyedit_ice.errors import PageError
    from easyedit_ice.ui.desk import Desk
    from easyedit_ice.ui.serve import ADDRESS, serve

    with socket.socket() as other:
        other.bind((ADDRESS, 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(PageError, match=f"port {port} cannot be had"):
            serve(Desk(bench), str(tmp_path / "book"), port=port)


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
