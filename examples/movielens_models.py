"""DIN, DIEN, DSIN and BST on MovieLens-100K, on TensorFlow, PyTorch and JAX.

    pip install --no-deps recbole==1.2.1   # its wheel contains the data
    python examples/movielens_models.py --model din,dien,dsin,bst

trains the models (only DIN by default) and mean pooling as a baseline on each
backend, in separate processes, from the same weights with the same batches. It
prints the models' AUC and how far the backends agree, loads the models that one
backend saved on the others, and writes a report with plots to demo-report/.
"""

import argparse
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TextIO

from movielens import BACKENDS

# kseq.data imports Keras. The workers set their own backend.
os.environ.setdefault("KERAS_BACKEND", next(filter(find_spec, BACKENDS)))

from movielens.data import (
    Catalogue,
    build_samples,
    keep_users,
    pairs_to_plot,
    read,
    recbole_folder,
)
from movielens.report import check_replaceable, write_report
from movielens.results import (
    METRICS,
    Results,
    compare_backends,
    compare_loaded,
    comparison,
    describe,
    disagreements,
    popularity_auc,
    show,
)
from movielens.workspace import BASELINE, MODELS, Settings, Workspace
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from kseq.data import Samples, split_time

PLOTTED_USERS = 4
# Defaults of the workers' environment.
ON_A_SHARED_CPU = {
    # Waiting threads of torch spin, and stall if other processes need the
    # cores: an epoch of 12 s took up to 100 s.
    "OMP_WAIT_POLICY": "PASSIVE",
    # By default glibc returns the memory of large tensors to the system after
    # each batch, and torch and JAX wait for page faults.
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(16 << 30),
    "MALLOC_TOP_PAD_": str(512 << 20),
}

console = Console(highlight=False)
errors = Console(highlight=False, stderr=True)


class WorkerFailed(RuntimeError):
    pass


def main() -> int:
    # Let `kill` stop the workers as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        run(parse_arguments())
    except KeyboardInterrupt:
        errors.print("interrupted; an earlier report was not changed")
        return 130
    except (ValueError, WorkerFailed) as error:
        errors.print(f"error: {error}", markup=False, soft_wrap=True)
        return 1
    return 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    models = tuple(name for name in MODELS if name != BASELINE)
    add(
        "--model",
        type=comma_separated(models),
        default=["din"],
        help=f"any of {','.join(models)}, separated by commas; default: din",
    )
    add("--backends", type=comma_separated(BACKENDS), default=list(BACKENDS))
    add("--epochs", type=positive, default=3)
    add(
        "--users",
        type=positive,
        help="number of users, chosen by --seed; default: all",
    )
    add("--seed", type=int, default=1)
    add(
        "--data",
        type=Path,
        help="a folder with ml-100k.inter and ml-100k.item, or u.data and "
        "u.item; default: those in the installed recbole",
    )
    add("--out", type=Path, default=Path("demo-report"))
    return parser.parse_args()


def comma_separated(choices: tuple[str, ...]) -> Callable[[str], list[str]]:
    def parse(text: str) -> list[str]:
        names = list(dict.fromkeys(text.split(",")))
        if not set(names) <= set(choices):
            raise argparse.ArgumentTypeError(
                f"expected some of {','.join(choices)}; received {text}"
            )
        return names

    return parse


def positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(
            f"expected a positive integer; received {text}"
        )
    return int(text)


def run(arguments: argparse.Namespace) -> None:
    start = time.perf_counter()
    check_replaceable(arguments.out)
    with tempfile.TemporaryDirectory(prefix="movielens-") as folder:
        workspace = Workspace(Path(folder))
        results, catalogue, plotted = prepare(arguments, workspace)
        print_data(results)
        train_everywhere(results, workspace)
        compare_backends(results, workspace)
        for model in results.settings.models:
            console.print(training_table(results, model))
        console.print(comparison_table(results))
        if len(results.backends) > 1:
            console.print(difference_table(results))
        load_everywhere(results, workspace)
        compare_loaded(results, workspace)
        console.print(loading_table(results))
        if wrong := list(disagreements(results)):
            raise WorkerFailed("backends disagree:\n" + "\n".join(wrong))
        if "din" in arguments.model and len(plotted):
            run_worker("attention", results.writer, workspace, results.writer)
        else:
            plotted = plotted[:0]
        results.seconds = time.perf_counter() - start
        write_report(arguments.out, results, workspace, catalogue, plotted)
    console.print(
        f"{results.seconds:.0f} s; report: {arguments.out / 'index.html'}",
        soft_wrap=True,
    )


def prepare(
    arguments: argparse.Namespace, workspace: Workspace
) -> tuple[Results, Catalogue, Samples]:
    """Write the samples to the workspace and return empty results."""
    folder = arguments.data or recbole_folder()
    ratings, movies = read(folder)
    if arguments.users:
        ratings = keep_users(ratings, arguments.users, arguments.seed)
    catalogue = Catalogue.from_movies(movies)
    settings = Settings(
        models=[*arguments.model, BASELINE],
        epochs=arguments.epochs,
        seed=arguments.seed,
    )
    samples = build_samples(ratings, catalogue, settings.steps, settings.seed)
    train, valid = split_time(samples, 0.8)
    plotted = pairs_to_plot(valid, PLOTTED_USERS, arguments.seed)
    workspace.write(
        settings,
        catalogue.genre_set,
        {"train": train, "valid": valid, "plotted": plotted},
    )
    results = Results(
        backends=arguments.backends,
        settings=settings,
        data=describe(train, valid, catalogue, str(folder)),
        popularity_auc=popularity_auc(train, valid, len(catalogue.titles)),
        writer=arguments.backends[0],
    )
    return results, catalogue, plotted


def train_everywhere(results: Results, workspace: Workspace) -> None:
    settings = results.settings
    batches = math.ceil(results.data["training samples"] / settings.batch_size)
    for backend in results.backends:
        with (
            progress_bar() as progress,
            worker("train", backend, workspace) as job,
        ):
            bar = progress.add_task(
                backend, total=batches * settings.epochs * len(settings.models)
            )
            for event in job:
                match event.pop("event"):
                    case "versions":
                        results.versions[backend] = event
                    case "batch":
                        progress.advance(bar)
                    case "weights":
                        results.weights[event["model"]] = event["count"]
                    case "epoch":
                        model = event.pop("model")
                        by_backend = results.training.setdefault(model, {})
                        by_backend.setdefault(backend, []).append(event)
                        print_epoch(backend, model, event)


def load_everywhere(results: Results, workspace: Workspace) -> None:
    for backend in results.backends:
        console.print(f"{results.writer}'s models, loaded by {backend}")
        run_worker("load", backend, workspace, results.writer)


def run_worker(
    job: str, backend: str, workspace: Workspace, *rest: str
) -> None:
    with worker(job, backend, workspace, *rest) as events:
        for _ in events:
            pass


@contextmanager
def worker(
    job: str, backend: str, workspace: Workspace, *rest: str
) -> Iterator[Iterator[dict[str, Any]]]:
    """Run a process on a backend; yield its events. It ends with the block.

    Raises WorkerFailed with the process's last output if it fails.
    """
    with workspace.log(backend).open("a+") as log:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "movielens.worker"),
                *(job, str(workspace.folder), *rest),
            ],
            cwd=Path(__file__).parent,
            env=environment(backend, workspace),
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        try:
            yield events(process, log)
            if process.wait():
                log.seek(0)
                output = "".join(log.readlines()[-40:])
                raise WorkerFailed(
                    f"{job} on {backend} exited with {process.returncode}:\n"
                    f"{output}"
                )
        finally:
            process.kill()
            process.wait()
            process.stdout.close()


def events(process: subprocess.Popen, log: TextIO) -> Iterator[dict[str, Any]]:
    for line in process.stdout:
        if line.startswith('{"event"'):
            yield json.loads(line)
        else:  # printed by a library
            log.write(line)


def environment(backend: str, workspace: Workspace) -> dict[str, str]:
    return {
        **ON_A_SHARED_CPU,
        "TF_CPP_MIN_LOG_LEVEL": "2",
        **os.environ,
        "KERAS_BACKEND": backend,
        # Ignore ~/.keras/keras.json, which could change the dtype.
        "KERAS_HOME": str(workspace.folder),
        "PYTHONUNBUFFERED": "1",
    }


def progress_bar() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def print_data(results: Results) -> None:
    console.print(f"MovieLens-100K: {results.citation}", soft_wrap=True)
    for name, value in results.data.items():
        console.print(f"  {name}: {show(value)}", markup=False, soft_wrap=True)
    for name, value in results.popularity_auc.items():
        console.print(f"  AUC by {name} in training: {value:.4f}")


def print_epoch(backend: str, model: str, epoch: dict[str, Any]) -> None:
    console.print(
        f"{backend:10} {model:4} epoch {epoch['epoch']}  "
        f"loss {epoch['train_loss']:.4f}  "
        f"validation {epoch['valid_loss']:.4f}  "
        f"AUC {epoch['auc']:.4f}  {epoch['seconds']:5.1f} s"
    )


def training_table(results: Results, model: str) -> Table:
    table = Table("", "epoch", *results.backends, title=MODELS[model])
    for metric, title in METRICS.items():
        table.add_section()
        by_backend = results.values(model, metric).values()
        for epoch, values in enumerate(zip(*by_backend, strict=True), 1):
            shown = (f"{value:.6f}" for value in values)
            table.add_row(title, str(epoch), *shown)
    return table


def comparison_table(results: Results) -> Table:
    head, rows = comparison(results)
    table = Table(*head, title="after the last epoch")
    for row in rows:
        table.add_row(*row)
    return table


def difference_table(results: Results) -> Table:
    epochs = range(1, results.settings.epochs + 1)
    table = Table(
        *("model", "backends", "before", *(f"epoch {e}" for e in epochs)),
        title="largest difference between two backends' predictions",
    )
    for model, pairs in results.differences.items():
        for pair, by_epoch in pairs.items():
            table.add_row(model, pair, *(f"{d:.1e}" for d in by_epoch))
    return table


def loading_table(results: Results) -> Table:
    table = Table(
        *("model", *results.backends),
        title=f"saved by {results.writer}, loaded by: largest difference",
    )
    for model, by_backend in results.loading.items():
        table.add_row(model, *(f"{d:.1e}" for d in by_backend.values()))
    return table


if __name__ == "__main__":
    sys.exit(main())
