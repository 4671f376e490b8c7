"""The layers' mathematics in float64 NumPy, written from the papers.

In the obvious form: no trick of kseq's own is used here. Every function takes
complex arrays too, for the complex step (`kseq.agreement.reference`), so
comparisons look at real parts only.
"""
