"""The modules of `custom_training.py`."""
