"""The modules of `serve_din.py`."""
