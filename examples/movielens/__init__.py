"""The parts of `movielens_models.py`, each in the process that needs it."""
