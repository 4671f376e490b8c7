"""Every layer's computations, with their float64 references."""

from tests.layers.catalog import EXAMPLES, draw


def of_example(example):
    masks = example.name.endswith("-mask")
    return example.trial(measured=True, draw=draw, masks=masks).computation()


COMPUTATIONS = {example.name: of_example(example) for example in EXAMPLES}
