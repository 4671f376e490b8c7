"""Keras layers over padded sequences."""

from kseq.layers.core import DNN as DNN
from kseq.layers.core import AuxiliaryLoss as AuxiliaryLoss
from kseq.layers.core import BatchNormalization as BatchNormalization
from kseq.layers.core import Dice as Dice
from kseq.layers.core import Embedding as Embedding
from kseq.layers.core import LayerNormalization as LayerNormalization
from kseq.layers.core import LocalActivationUnit as LocalActivationUnit
from kseq.layers.core import PredictionLayer as PredictionLayer
from kseq.layers.sequence import (
    AttentionSequencePoolingLayer as AttentionSequencePoolingLayer,
)
from kseq.layers.sequence import BiasEncoding as BiasEncoding
from kseq.layers.sequence import BiLSTM as BiLSTM
from kseq.layers.sequence import DynamicGRU as DynamicGRU
from kseq.layers.sequence import KMaxPooling as KMaxPooling
from kseq.layers.sequence import PositionEncoding as PositionEncoding
from kseq.layers.sequence import SequencePoolingLayer as SequencePoolingLayer
from kseq.layers.sequence import Transformer as Transformer
from kseq.layers.sequence import WeightedSequenceLayer as WeightedSequenceLayer
from kseq.layers.sequence import positional_encoding as positional_encoding
