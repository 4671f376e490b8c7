"""Triton kernels for PyTorch: a time loop or DIN's attention in one launch.

Contenders of `benchmarks.gpu`, not part of kseq: none was timed on a GPU yet.
The formulas are those of `kseq/ops/recurrence.py` and `kseq/ops/attention.py`,
with which `tests/benchmarks/test_kernels.py` compares them in Triton's
interpreter.

`gru.gru` and `lstm.lstm` multiply the inputs by their kernel for all steps at
once, before the launch, and the gradients of the recurrent weights are products
over all steps after it. Gradients of gradients are not defined.
"""
