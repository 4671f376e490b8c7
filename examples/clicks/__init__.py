"""The parts of `custom_training.py`."""
