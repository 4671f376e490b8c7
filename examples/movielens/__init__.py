"""The modules of `movielens_models.py`."""

BACKENDS = ("tensorflow", "torch", "jax")
