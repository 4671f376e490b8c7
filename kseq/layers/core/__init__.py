"""Building blocks of the sequence layers."""

from kseq.layers.core.auxiliary_loss import AuxiliaryLoss as AuxiliaryLoss
from kseq.layers.core.batch_normalization import (
    BatchNormalization as BatchNormalization,
)
from kseq.layers.core.dice import Dice as Dice
from kseq.layers.core.dnn import DNN as DNN
from kseq.layers.core.embedding import Embedding as Embedding
from kseq.layers.core.layer_normalization import (
    LayerNormalization as LayerNormalization,
)
from kseq.layers.core.local_activation_unit import (
    LocalActivationUnit as LocalActivationUnit,
)
from kseq.layers.core.prediction_layer import (
    PredictionLayer as PredictionLayer,
)
