"""Load weights from other libraries into kseq's layers."""

from kseq.convert import deepctr as deepctr
