"""Functions of tensors that the layers are built from, for your own layers.

They run on every backend, take symbolic tensors as `keras.ops` do, and do not
depend on the layers.
"""

from kseq.ops.attention import attention_pool as attention_pool
from kseq.ops.attention import attention_weights as attention_weights
from kseq.ops.attention import din_hidden as din_hidden
from kseq.ops.backends import plain_forms as plain_forms
from kseq.ops.linear import linear as linear
from kseq.ops.masks import lengths_to_mask as lengths_to_mask
from kseq.ops.masks import masked_softmax as masked_softmax
from kseq.ops.masks import resolve_mask as resolve_mask
from kseq.ops.masks import zero_padding as zero_padding
from kseq.ops.multi_head import multi_head_attention as multi_head_attention
from kseq.ops.numerics import l2_normalize as l2_normalize
from kseq.ops.numerics import layer_normalize as layer_normalize
from kseq.ops.numerics import tanh as tanh
from kseq.ops.pooling import k_max as k_max
from kseq.ops.pooling import masked_max as masked_max
from kseq.ops.pooling import masked_mean as masked_mean
from kseq.ops.pooling import masked_sum as masked_sum
from kseq.ops.pooling import step_weights as step_weights
from kseq.ops.positions import sinusoid as sinusoid
from kseq.ops.recurrence import gru as gru
from kseq.ops.recurrence import lstm as lstm
