"""DeepCTR's models that read a user's history: `deepctr.models`."""

from kseq.models.attention import attention_weights as attention_weights
from kseq.models.bst import BST as BST
from kseq.models.candidates import score_candidates as score_candidates
from kseq.models.dien import DIEN as DIEN
from kseq.models.din import DIN as DIN
from kseq.models.dsin import DSIN as DSIN
from kseq.models.split import ranking_model as ranking_model
from kseq.models.split import split_model as split_model
from kseq.models.update import update_model as update_model
