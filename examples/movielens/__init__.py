"""The parts of `movielens_din.py`, each in the process that needs it."""
