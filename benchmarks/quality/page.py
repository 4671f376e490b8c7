"""Writes docs/quality.md from the results."""

import json
import statistics
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.quality import configuration as c
from benchmarks.quality.results import Results

FILE = Path(__file__).parents[2] / "docs/quality.md"
TEXT = Path(__file__).with_name("page.md")
DATA = {
    "beauty": "Amazon Beauty",
    "toys": "Amazon Toys and Games",
    "sports": "Amazon Sports and Outdoors",
    "lastfm": "LastFM",
    "movielens": "MovieLens-100K",
}
LIBRARIES = {"kseq": "kseq", "fuxictr": "FuxiCTR"}
BACKENDS = {"torch": "PyTorch", "tensorflow": "TensorFlow", "jax": "JAX"}
Runs = list[dict[str, Any]]


def write(results: Results, file: Path = FILE) -> None:
    file.write_text(text(results))


def text(results: Results) -> str:
    parts = {
        "comparison": comparison(results),
        "results": "\n\n".join(sections(results)),
        "agreement": agreement(results.folder / "agree.json"),
        "search": search(results),
        "configuration": configuration(results),
        "about": about(results),
    }
    page = TEXT.read_text()
    for name, part in parts.items():
        page = page.replace(f"<{name}>", part)
    return page


def measured(results: Results, **values: Any) -> Runs:
    """Return the runs with the main configuration, in the order of seeds."""
    values.setdefault("attention", c.ATTENTION_ACTIVATION)
    found = [
        (job.seed, run)
        for job, run in results.select(**values)
        if job.seed != c.SEARCH_SEED
    ]
    return [run for _, run in sorted(found, key=lambda pair: pair[0])]


def sets(results: Results) -> list[str]:
    names = {job.data for job in results.runs if job.seed != c.SEARCH_SEED}
    return sorted(names, key=[*DATA, *sorted(names)].index)


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    header = [*header]
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def mean_and_deviation(runs: Runs, name: str, digits: int = 4) -> str:
    values = [run[name] for run in runs if name in run]
    if not values:
        return ""
    result = f"{statistics.fmean(values):.{digits}f}"
    if len(values) > 1:
        sign = "\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}"
        result += f"{sign}{statistics.stdev(values):.{digits}f}"
    return result


def median(runs: Runs, value: Callable[[Any], float], form: str) -> str:
    values = [value(run) for run in runs if "seconds" in run]
    return format(statistics.median(values), form) if values else ""


def least_memory(runs: Runs) -> str:
    values = [run["memory_mb"] for run in runs if "seconds" in run]
    return f"{min(values):.0f}" if values else ""


def epoch_seconds(run: dict[str, Any]) -> float:
    """The first epoch compiles on TensorFlow and JAX."""
    return statistics.median(run["seconds"][1:] or run["seconds"])


def sections(results: Results) -> Iterator[str]:
    for name in sets(results):
        rows = []
        for model, title in c.MODELS.items():
            for backend, backend_title in BACKENDS.items():
                for library, library_title in LIBRARIES.items():
                    runs = measured(
                        results,
                        data=name,
                        model=model,
                        library=library,
                        backend=backend,
                    )
                    if not runs:
                        continue
                    where = f"{library_title}, {backend_title}"
                    rows.append(
                        [
                            title,
                            "" if model == "popularity" else where,
                            *(
                                mean_and_deviation(runs, metric)
                                for metric in ("gauc", "auc", "log_loss")
                            ),
                            "" if model == "popularity" else str(len(runs)),
                            median(runs, lambda run: run["weights"], ",.0f"),
                            median(runs, epoch_seconds, ".1f"),
                            least_memory(runs),
                        ]
                    )
        header = (
            *("model", "library", "gAUC", "AUC", "log loss", "seeds"),
            *("weights", "s/epoch", "MB"),
        )
        yield f"### {DATA.get(name, name)}\n\n{table(header, rows)}"


def comparison(results: Results) -> str:
    rows = []
    for name in sets(results):
        for model in c.FUXICTR_MODELS:
            pairs = paired(results, name, model)
            if not pairs:
                continue
            kseq, fuxictr = ([*runs] for runs in zip(*pairs, strict=True))
            change, error = difference(kseq, fuxictr)
            ratios = [
                epoch_seconds(b) / epoch_seconds(a)
                for a, b in zip(kseq, fuxictr, strict=True)
            ]
            rows.append(
                [
                    DATA.get(name, name),
                    c.MODELS[model],
                    mean_and_deviation(kseq, "gauc"),
                    mean_and_deviation(fuxictr, "gauc"),
                    f"{change:+.4f}",
                    verdict(change, error),
                    f"{statistics.median(ratios):.2f}",
                    str(len(pairs)),
                ]
            )
    header = (
        *("data", "model", "kseq", "FuxiCTR", "difference", "kseq"),
        *("times as fast", "seeds"),
    )
    return table(header, rows)


def paired(results: Results, name: str, model: str) -> list[Any]:
    """Return the runs of both libraries by seed, on PyTorch."""
    by_library = [
        {
            (job.seed, job.users): run
            for job, run in results.select(
                data=name,
                model=model,
                library=library,
                backend="torch",
                attention=c.ATTENTION_ACTIVATION,
            )
            if job.seed != c.SEARCH_SEED
        }
        for library in LIBRARIES
    ]
    common = sorted(by_library[0].keys() & by_library[1].keys())
    return [tuple(runs[key] for runs in by_library) for key in common]


def difference(kseq: Runs, fuxictr: Runs) -> tuple[float, float]:
    """Return the difference of mean gAUC, and twice its standard error.

    The error is infinite for fewer than three seeds.
    """
    values = [[run["gauc"] for run in runs] for runs in (kseq, fuxictr)]
    change = statistics.fmean(values[0]) - statistics.fmean(values[1])
    if len(kseq) < 3:
        return change, float("inf")
    variance = sum(map(statistics.variance, values)) / len(kseq)
    return change, 2 * variance**0.5


def verdict(change: float, error: float) -> str:
    if error == float("inf"):
        return ""
    if abs(change) <= error:
        return "no difference found"
    return "better" if change > 0 else "worse"


def agreement(file: Path) -> str:
    """Return the table of what `agree.py` wrote."""
    if not file.exists():
        return "(not measured)"
    found = json.loads(file.read_text())
    first = next(iter(found.values()))
    rows = [
        [case, *(f"{value:.0e}" for value in values.values())]
        for case, values in found.items()
    ]
    return table(["attention, optimizer", *first], rows)


def search(results: Results) -> str:
    rows = []
    for model in c.FUXICTR_MODELS:
        chosen = results.chosen(model)
        for (rate, penalty), values in sorted(results.search(model).items()):
            mark = " (chosen)" if (rate, penalty) == chosen else ""
            rows.append(
                [
                    c.MODELS[model],
                    f"{rate:g}",
                    f"{penalty:g}",
                    ", ".join(f"{value:.4f}" for value in values),
                    f"{statistics.fmean(values):.4f}{mark}",
                ]
            )
    header = ("model", "rate", "penalty", "kseq, FuxiCTR", "mean")
    return table(header, rows)


def configuration(results: Results) -> str:
    used = {DATA.get(name, name): c.protocol(name) for name in sets(results)}
    header = (
        *("data", "longest history", "training events of a user"),
        *("negatives: training", "validation", "test"),
    )
    rows = (
        [
            *(name, str(p.steps), str(p.train_events), "1"),
            *(str(p.valid_negatives), str(p.test_negatives)),
        ]
        for name, p in used.items()
    )
    lines = (
        f"- embeddings of width {c.EMBEDDING_DIM}, of the item and of its "
        "attribute; standard deviation 1e-4 at first",
        f"- network {c.HIDDEN_UNITS}, ReLU, no dropout, no batch normalisation",
        f"- attention {c.ATTENTION_UNITS} with a softmax, "
        f"{c.ATTENTION_ACTIVATION} in DIN and DIEN, Dice in BST; BST has one "
        f"block of {c.HEADS} heads",
        f"- Adam with epsilon {c.ADAM_EPSILON:g}, batches of {c.BATCH_SIZE}, "
        f"gradient norm at most {c.MAX_GRADIENT_NORM:g}",
        f"- at most {c.MAX_EPOCHS} epochs; training ends after {c.PATIENCE} "
        "epochs without a better validation gAUC, and the best epoch is tested",
        f"- at most {c.USERS:,} users of a data set, randomly chosen",
    )
    return "\n".join(lines) + "\n\n" + table(header, rows)


def about(results: Results) -> str:
    found = results.about()
    versions = ", ".join(f"{k} {v}" for k, v in found["versions"].items())
    return (
        f"{found['machine']}, one core; Python {found['python']}; {versions}."
    )
