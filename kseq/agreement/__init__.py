"""Check that a layer computes the same numbers on every Keras backend.

Each run computes a set of cases on one backend and saves the results to a
record; `compare` reads the records and reports where they differ. Command
line: ``python -m kseq.agreement --help``.
"""

from kseq.agreement.cases import Case as Case
from kseq.agreement.cases import case as case
from kseq.agreement.cases import load_cases as load_cases
from kseq.agreement.compare import Comparison as Comparison
from kseq.agreement.compare import compare as compare
from kseq.agreement.measure import measure as measure
from kseq.agreement.measure import reference_values as reference_values
from kseq.agreement.numbers import seed_weights as seed_weights
from kseq.agreement.record import Record as Record
from kseq.agreement.record import load_record as load_record
