"""Takes the place of `deepctr.layers.sequence`."""

from kseq.layers.sequence.attention_sequence_pooling_layer import (
    AttentionSequencePoolingLayer as AttentionSequencePoolingLayer,
)
from kseq.layers.sequence.k_max_pooling import KMaxPooling as KMaxPooling
from kseq.layers.sequence.sequence_pooling_layer import (
    SequencePoolingLayer as SequencePoolingLayer,
)
from kseq.layers.sequence.weighted_sequence_layer import (
    WeightedSequenceLayer as WeightedSequenceLayer,
)
