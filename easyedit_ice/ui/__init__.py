"""A page in the browser to edit facts of a model on this machine.

``subject`` finds what a prompt is about, ``facts`` is what was typed, ``workbench`` the model with the edits in it, and
``keeping`` writes them into an edit book. ``desk`` is what each button does, ``shown`` makes HTML of what came of it,
and ``words`` has the texts. ``page`` lays it all out; it alone needs Gradio.
"""
