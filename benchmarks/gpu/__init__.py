"""Times of kseq and other implementations on a GPU: `python -m benchmarks.gpu`.

`jobs` lists what is measured. `__main__` sends each job to a worker process,
one for PyTorch (`on_torch`) and one for JAX (`on_jax`), and stops it at its
time limit. `page` writes the results into docs/gpu.md.
"""
