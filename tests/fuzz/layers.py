"""Draws a layer of the catalog, its arguments, inputs and numbers."""

from tests.layers import catalog


def draws(layer):
    def draw_layer(d):
        return d.layer(layer)

    draw_layer.__name__ = layer.name
    return draw_layer


LAYERS = tuple(map(draws, catalog.LAYERS))
BY_NAME = {make.__name__: make for make in LAYERS}
auxiliary_loss = BY_NAME["AuxiliaryLoss"]
WITH_LENGTHS = tuple(
    BY_NAME[layer.name]
    for layer in catalog.LAYERS
    if {*layer.lengths} and {*layer.lengths} <= {*layer.deepctr}
)
PADDED = tuple(m for m in LAYERS if m is not BY_NAME["PredictionLayer"])
