"""The pages' figures, and the script that makes them: `make.py`."""
