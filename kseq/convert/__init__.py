"""Load weights from other libraries into kseq's layers."""

from kseq.convert import deepctr as deepctr
from kseq.convert import deepctr_torch as deepctr_torch
from kseq.convert import fuxictr as fuxictr
