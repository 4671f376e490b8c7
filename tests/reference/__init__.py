"""The layers in float64 NumPy, written from the papers.

The code is simple and uses no numerical tricks of kseq. All functions accept
complex arrays for the complex step of `kseq.agreement.reference`; comparisons
use real parts.
"""
