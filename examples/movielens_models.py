"""DIN, DIEN, DSIN and BST on MovieLens-100K, on TensorFlow, PyTorch and JAX.

    pip install --no-deps recbole==1.2.1   # its wheel contains the data
    python examples/movielens_models.py

From a user's likes, which movie comes next? Each user's last like is the test,
the one before is for validation, and each like has negatives: movies that the
user has never rated, popular ones as often as in the log. The models and mean
pooling, the baseline, are trained until gAUC of the validation falls. All
backends start from the same weights with the same batches; further seeds are
trained on the backends other than PyTorch, in turn. Writes a page,
.outputs/demo.html, and its numbers.
"""

import argparse
import itertools
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from movielens import BACKENDS

# kseq.data imports Keras. The workers set their own backend.
os.environ.setdefault("KERAS_BACKEND", next(filter(find_spec, BACKENDS)))

from movielens.data import (
    Catalogue,
    build_samples,
    keep_users,
    leave_last_out,
    likes,
    read,
    recbole_folder,
    users_to_show,
)
from movielens.processes import WorkerFailed, run_jobs
from movielens.progress import EVERY, Progress
from movielens.report import write_report
from movielens.results import (
    Results,
    Run,
    backends_table,
    compare_backends,
    compare_loaded,
    comparison,
    describe,
    disagreements,
    histories,
    popularity,
    verdict,
)
from movielens.shown import read_users
from movielens.workspace import BASELINE, MODELS, Settings, Workspace
from rich.console import Console
from rich.table import Table

from kseq.checks import check_positive_int
from kseq.data import Samples
from kseq.files import check_writable

console = Console(highlight=False, soft_wrap=True)


def main() -> int:
    # Let `kill` stop the workers as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        run(parse_arguments())
    except KeyboardInterrupt:
        print("interrupted; an earlier report was not changed", file=sys.stderr)
        return 130
    except (ValueError, WorkerFailed) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    models = tuple(name for name in MODELS if name != BASELINE)
    add(
        "--model",
        type=comma_separated(models),
        default=["din", "dien", "bst"],
        help=f"any of {','.join(models)}, separated by commas; default: all "
        "but dsin, which takes longer than the others together",
    )
    add("--backends", type=comma_separated(BACKENDS), default=list(BACKENDS))
    add("--epochs", type=int, default=16, help="at most")
    add("--seeds", type=int, default=3)
    add("--seed", type=int, default=1, help="the first one")
    add(
        "--users",
        type=int,
        help="number of users, chosen by --seed; default: all",
    )
    add(
        "--data",
        type=Path,
        help="a folder with ml-100k.inter and ml-100k.item, or u.data and "
        "u.item; default: those in the installed recbole",
    )
    add("--out", type=Path, default=Path(".outputs/demo.html"))
    arguments = parser.parse_args()
    for name in ("epochs", "seeds", "users"):
        if (value := getattr(arguments, name)) is not None:
            check_positive_int(name, value)
    return arguments


def comma_separated(choices: tuple[str, ...]) -> Callable[[str], list[str]]:
    def parse(text: str) -> list[str]:
        names = list(dict.fromkeys(text.split(",")))
        if not set(names) <= set(choices):
            raise argparse.ArgumentTypeError(
                f"expected some of {','.join(choices)}; received {text}"
            )
        return names

    return parse


def run(arguments: argparse.Namespace) -> None:
    start = time.perf_counter()
    check_writable("out", arguments.out)
    with tempfile.TemporaryDirectory(prefix="movielens-") as folder:
        workspace = Workspace(Path(folder))
        results, parts, catalogue, shown = prepare(arguments, workspace)
        print_data(results)
        train(results, workspace, len(parts["train"]))
        compare_backends(results, workspace)
        console.print("The first backend's models are loaded by the others ...")
        loaded = [m for m in ("din", BASELINE) if m in results.weights]
        job = ["explain", results.writer, *loaded]
        jobs = dict.fromkeys(results.backends, job)
        progress = Progress([], 0, 0, console.print)
        for _ in run_jobs(jobs, workspace, EVERY):
            progress.tick()
        compare_loaded(results, workspace)
        results.seconds = time.perf_counter() - start
        counts = likes(parts["train"], len(catalogue.titles))
        users = read_users(results.writer, workspace, shown, catalogue, counts)
        write_report(arguments.out, results, users)
    for title, (head, rows) in {
        "the users' last likes": comparison(results),
        "are the histories read?": histories(results),
        "backends, first seed": backends_table(results),
    }.items():
        table = Table(*head, title=title)
        for row in rows:
            table.add_row(*row)
        console.print(table)
    for sentence in verdict(results):
        console.print(f"- {sentence}", markup=False)
    console.print(f"{results.seconds:.0f} s; page: {arguments.out}")
    if wrong := list(disagreements(results)):
        raise WorkerFailed("backends disagree:\n" + "\n".join(wrong))


def prepare(
    arguments: argparse.Namespace, workspace: Workspace
) -> tuple[Results, dict[str, Samples], Catalogue, Samples]:
    """Write the samples to the workspace and return empty results."""
    folder = arguments.data or recbole_folder()
    ratings, movies = read(folder)
    if arguments.users:
        ratings = keep_users(ratings, arguments.users, arguments.seed)
    catalogue = Catalogue.from_movies(movies)
    settings = Settings(
        models=[*arguments.model, BASELINE],
        seeds=[arguments.seed + i for i in range(arguments.seeds)],
        epochs=arguments.epochs,
    )
    size = len(catalogue.titles)
    samples = build_samples(ratings, catalogue, settings.steps, arguments.seed)
    parts = leave_last_out(
        samples, settings.popularity, settings.negatives, arguments.seed
    )
    shown, seen = users_to_show(
        samples, parts["test"], settings.users_shown, size, arguments.seed
    )
    workspace.write(
        settings, catalogue.genre_set, parts | {"shown": shown}, seen
    )
    results = Results(
        backends=arguments.backends,
        settings=settings,
        data=describe(parts, catalogue, str(folder)),
        popularity=popularity(parts, size),
    )
    easy = leave_last_out(samples, 0, settings.negatives, arguments.seed)
    results.data["gAUC of popularity, were negatives uniform"] = popularity(
        easy, size
    )["gauc"]
    return results, parts, catalogue, shown


def train(results: Results, workspace: Workspace, rows: int) -> None:
    settings, backends = results.settings, results.backends
    seeds = {backend: [settings.seeds[0]] for backend in backends}
    # PyTorch is the slowest with one core.
    others = [b for b in backends if b != "torch"] or backends
    for backend, seed in zip(
        itertools.cycle(reversed(others)), settings.seeds[1:], strict=False
    ):
        seeds[backend].append(seed)
    progress = Progress(
        settings.models,
        sum(map(len, seeds.values())),
        settings.epochs * max(rows // settings.batch_size, 1),
        console.print,
    )
    jobs = {b: ["train", *map(str, s)] for b, s in seeds.items()}
    runs: dict[str, Run] = {}
    for backend, kind, event in run_jobs(jobs, workspace, EVERY):
        match kind:
            case "versions":
                results.versions[backend] = event
            case "model":
                model, seed = event["model"], event["seed"]
                runs[backend] = Run(model, seed, backend)
                results.runs.append(runs[backend])
                results.weights[model] = event["weights"]
                progress.begin(backend, model, seed)
            case "batch":
                progress.batch(backend)
            case "epoch":
                runs[backend].epochs.append(event)
            case "tested":
                runs[backend].tested = event
                print_run(runs[backend])
            case "end":
                progress.finish(backend)
        progress.tick()
    results.runs.sort(key=lambda r: (r.seed, backends.index(r.backend)))


def print_data(results: Results) -> None:
    console.print(f"MovieLens-100K: {results.citation}")
    for name, value in results.data.items():
        console.print(f"  {name}: {value}", markup=False)


def print_run(run: Run) -> None:
    console.print(
        f"{run.backend:10} {run.model:4} seed {run.seed}: "
        f"gAUC {run.tested['gauc']:.4f}, AUC {run.tested['auc']:.4f} after "
        f"{len(run.epochs)} epochs, {run.tested['seconds']:.0f} CPU s"
    )


if __name__ == "__main__":
    sys.exit(main())
