"""Do a layer's numbers agree between backends?

A run computes cases on one backend and leaves a record; `compare` reads the
records of all runs and says where they differ. From a shell:
``python -m kseq.agreement --help``.
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
