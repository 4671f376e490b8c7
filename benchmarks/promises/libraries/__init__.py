"""One module for each library, with the same contents.

- `PACKAGE`: its name on PyPI.
- `VERSION`: the installed version.
- `MODELS`: the kinds of models that it has, of "DIN", "DIEN" and "BST".
- `make(kind, softmax=False)`: a `Model`; with `softmax`, DIN's attention is
  normalised by one.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

USERS, ITEMS, DIM, HEADS, UNITS = 5, 30, 8, 2, [6, 4]


@dataclass
class Model:
    """A model of a library.

    Attributes:
        module: the model, whose parameters are drawn at random.
        run: returns predictions and the auxiliary loss, or None, from arrays by
            name: user and item (batch,), history and negatives (batch, steps),
            0 in padded steps, which are the last.
    """

    module: Any
    run: Any

    def __post_init__(self) -> None:
        # Without statistics, which are parameters in Keras.
        parameters = [p for p in self.module.parameters() if p.requires_grad]
        padding = {
            id(table.weight)
            for table in self.module.modules()
            if getattr(table, "padding_idx", None) == 0
        }
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for p in parameters:
                p.copy_(0.5 * torch.randn(p.shape, generator=generator))
                if id(p) in padding:  # as the library creates and keeps it
                    p[0] = 0.0

    def forward(self, inputs: Any, training: bool = False) -> Any:
        """Predictions (batch,), and the auxiliary loss or None."""
        self.module.train(training)
        return self.run({n: torch.as_tensor(x) for n, x in inputs.items()})

    def predict(self, inputs: Any, training: bool = False) -> Any:
        with torch.no_grad():
            return to_array(self.forward(inputs, training)[0])

    def auxiliary_loss(self, inputs: Any) -> Any:
        with torch.no_grad():
            loss = self.forward(inputs)[1]
        return None if loss is None else to_array(loss)

    def gradients(self, inputs: Any) -> Any:
        """The loss and all gradients of a training step, as one array."""
        predictions, auxiliary = self.forward(inputs, training=True)
        predictions = predictions.flatten()
        targets = (torch.arange(len(predictions)) % 2).to(predictions)
        loss = torch.nn.functional.binary_cross_entropy(predictions, targets)
        if auxiliary is not None:
            loss = loss + auxiliary.sum()
        self.module.zero_grad()
        loss.backward()
        found = [p.grad for p in self.module.parameters() if p.grad is not None]
        return np.concatenate([to_array(x).ravel() for x in (loss, *found)])


def to_array(x: Any) -> Any:
    return x.detach().numpy().astype("float64")
