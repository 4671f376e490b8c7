"""From a log of events to the arrays that models train on."""

from kseq.data.batches import BucketedBatches
from kseq.data.negatives import NegativeSampling, add_negatives
from kseq.data.ragged import Ragged
from kseq.data.samples import Samples
from kseq.data.sequences import sequence_samples
from kseq.data.splits import split_last, split_time
from kseq.data.vocabulary import Vocabulary

__all__ = [
    "BucketedBatches",
    "NegativeSampling",
    "Ragged",
    "Samples",
    "Vocabulary",
    "add_negatives",
    "sequence_samples",
    "split_last",
    "split_time",
]
