"""The page, served on this machine alone."""

from __future__ import annotations

import os

from easyedit_ice.extras import require
from easyedit_ice.ui.desk import Desk

ADDRESS = "127.0.0.1"


def serve(desk: Desk, book: str, *, port: int | None = None, browser: bool = False) -> str:
    """Serve the page until the process ends.

    Args:
        desk: that all tabs share.
        book: folder that edits are kept in.
        port: by default the first free one from 7860 on.
        browser: open it there.

    Returns:
        its address.

    Raises:
        MissingExtraError: Gradio is not installed.
        OSError: the port is taken.
    """
    require("ui", "the page")
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    from easyedit_ice.ui.page import STYLE, THEME, page

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
        css=STYLE,
    )
    return address
