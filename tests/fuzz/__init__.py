"""Layers with inputs that nobody chose: see `layers.py`."""
