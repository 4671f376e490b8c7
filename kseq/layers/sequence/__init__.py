"""Sequence layers; replaces `deepctr.layers.sequence`."""

from kseq.layers.sequence.attention_sequence_pooling_layer import (
    AttentionSequencePoolingLayer as AttentionSequencePoolingLayer,
)
from kseq.layers.sequence.bias_encoding import BiasEncoding as BiasEncoding
from kseq.layers.sequence.bilstm import BiLSTM as BiLSTM
from kseq.layers.sequence.dynamic_gru import DynamicGRU as DynamicGRU
from kseq.layers.sequence.k_max_pooling import KMaxPooling as KMaxPooling
from kseq.layers.sequence.position_encoding import (
    PositionEncoding as PositionEncoding,
)
from kseq.layers.sequence.position_encoding import (
    positional_encoding as positional_encoding,
)
from kseq.layers.sequence.sequence_pooling_layer import (
    SequencePoolingLayer as SequencePoolingLayer,
)
from kseq.layers.sequence.transformer import Transformer as Transformer
from kseq.layers.sequence.weighted_sequence_layer import (
    WeightedSequenceLayer as WeightedSequenceLayer,
)
