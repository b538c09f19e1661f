"""The page, served on this machine alone."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass

from easyedit_ice.errors import PageError
from easyedit_ice.runtime.extras import require
from easyedit_ice.ui.desk import Desk

ADDRESS = "127.0.0.1"


@dataclass(frozen=True)
class Served:
    """A page that is being served.

    Attributes:
        address: of it.
        close: ends it.
    """

    address: str
    close: Callable[[], None]


def serve(desk: Desk, book: str, *, port: int | None = None, browser: bool = False) -> Served:
    """Serve the page until the process ends.

    Args:
        desk: that all tabs share.
        book: folder that edits are kept in.
        port: by default the first free one from 7860 on.
        browser: open it there.

    Raises:
        MissingExtraError: Gradio is not installed.
        PageError: the port is taken.
    """
    require("ui", "the page")
    if port is not None:
        _refuse_taken(port)
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    from easyedit_ice.ui.page import HEAD, THEME, page

    blocks = page(desk, book)
    _, address, _ = blocks.launch(
        server_name=ADDRESS,
        server_port=port,
        share=False,
        inbrowser=browser,
        quiet=True,
        prevent_thread_lock=True,
        footer_links=[],
        run_history=False,
        enable_monitoring=False,
        mcp_server=False,
        ssr_mode=False,
        pwa=False,
        theme=THEME,
        head=HEAD,
    )
    return Served(address, blocks.close)


def _refuse_taken(port: int) -> None:
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((ADDRESS, port))
        except OSError as error:
            raise PageError(
                f"port {port} cannot be had ({error.strerror}); give another, or none for the first that is free"
            ) from error
