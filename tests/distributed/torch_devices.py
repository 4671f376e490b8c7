"""PyTorch: `DistributedDataParallel` over two processes, by torchrun."""

from typing import Any

import keras
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from tests.distributed import problem
from tests.distributed.problem import Result

PART = problem.BATCH // 2


def train(model: Any, net: Any, rank: int, rows: int, size: int) -> Result:
    """Train on this rank's part of each batch and return the losses."""
    x, clicks = problem.inputs_of(model, rows)
    loss_of = keras.losses.BinaryCrossentropy()
    optimizer = keras.optimizers.SGD(2**-7, momentum=0.875)
    optimizer.build(model.trainable_variables)
    weights = [v.value for v in model.trainable_variables]
    starts = range(0, rows, problem.BATCH)
    losses = torch.zeros(problem.TRAINING_STEPS, dtype=torch.float64)
    for step in range(problem.TRAINING_STEPS):
        first = starts[step % len(starts)] + rank * size
        part = slice(first, first + size)
        inputs = {name: torch.as_tensor(v[part]) for name, v in x.items()}
        loss = loss_of(
            torch.as_tensor(clicks[part]), net(inputs, training=True)
        )
        loss = loss + sum(model.losses)
        model.zero_grad()
        loss.backward()
        with torch.no_grad():
            optimizer.apply(
                [w.grad for w in weights], model.trainable_variables
            )
        losses[step] = loss.detach()
    return {"losses": losses.numpy()}


def on_both(
    name: str, found: dict[str, Result], key: str, **options: Any
) -> None:
    model = problem.make(name, **options)
    net = DistributedDataParallel(model)
    result = train(model, net, dist.get_rank(), problem.ROWS, PART)
    losses = torch.as_tensor(result["losses"])
    dist.all_reduce(losses)
    every: list[Any] = [None, None]
    dist.all_gather_object(every, problem.weights_of(model))
    found[f"{key} first"], found[f"{key} second"] = every
    found[f"{key} several"] = {"losses": losses.numpy() / 2, **every[0]}


def run_all() -> dict[str, Result] | None:
    dist.init_process_group("gloo")
    assert dist.get_world_size() == 2
    found: dict[str, Result] = {}
    for name, options in problem.BY_EXAMPLE.items():
        on_both(name, found, name, **options)
        if dist.get_rank() == 0:
            model = problem.make(name, **options)
            rows, size = problem.ROWS, problem.BATCH
            losses = train(model, model, 0, rows, size)
            found[f"{name} one"] = losses | problem.weights_of(model)
    on_both("DIN", found, "statistics", **problem.BY_BATCH["DIN"])
    rank = dist.get_rank()
    dist.destroy_process_group()
    return found if rank == 0 else None


if __name__ == "__main__":
    problem.main(run_all)
