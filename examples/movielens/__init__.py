"""The modules of `movielens_models.py`."""
