"""What the tests compute with."""

import numpy as np
from keras import ops


def to_numpy(tensor):
    return np.asarray(ops.convert_to_numpy(tensor))
