"""The parts of `serve_din.py`."""
