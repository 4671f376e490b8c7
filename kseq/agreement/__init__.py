"""Check that layers compute the same numbers on every Keras backend.

The `agreement` fixture of pytest computes calls of layers and functions:
on one backend with ``pytest``, on several, and compared with each other, with
``pytest --agreement=tensorflow,torch,jax``.
"""

from kseq.agreement import inputs as inputs
from kseq.agreement.compare import Comparison as Comparison
from kseq.agreement.compare import compare as compare
from kseq.agreement.computation import Computation as Computation
from kseq.agreement.fixture import Agreement as Agreement
from kseq.agreement.known import Known as Known
from kseq.agreement.measure import measure as measure
from kseq.agreement.numbers import seed_weights as seed_weights
from kseq.agreement.record import Record as Record
from kseq.agreement.record import load_record as load_record
