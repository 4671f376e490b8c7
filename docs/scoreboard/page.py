"""Turn the records of the scoreboard's tests into data.json and index.md.

`python page.py FOLDER` compares the records in a directory; without an
argument, the page is written again from data.json, with today's decisions.
"""

import datetime
import json
import re
import sys
from collections import Counter
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from decisions import CONVENTION, DECISIONS, FAULT

FOLDER = Path(__file__).parent
DATA = FOLDER / "data.json"
PAGE = FOLDER / "index.md"
BACKENDS = ("tensorflow", "torch", "jax")
NAMES = {"tensorflow": "TensorFlow", "torch": "PyTorch", "jax": "JAX"}
CLAIM = 1e-7
UNDECIDED = "undecided"
SYMBOLIC = "symbolic"


def collect(folder: Path) -> dict[str, Any]:
    """Compare the records of the three backends."""
    from calls import LAYERS_LEFT_OUT, LEFT_OUT, rows

    from kseq.agreement.record import load_record

    records = {name: load_record(folder / name) for name in BACKENDS}
    results = {
        name: {t.rpartition("[")[2][:-1]: x for t, x in r.results.items()}
        for name, r in records.items()
    }
    found = [
        compare_row(row, {n: results[n].get(row.name) for n in BACKENDS})
        for row in rows()
    ]
    run = records["jax"].run
    versions = {
        n: v for r in records.values() for n, v in r.run.versions.items()
    }
    return {
        "date": run.made[:10],
        "versions": dict(sorted(versions.items())),
        "machine": run.machine,
        "left_out": LEFT_OUT
        | {f"layers.{n}": v for n, v in LAYERS_LEFT_OUT.items()},
        "rows": found,
    }


def compare_row(row: Any, results: dict[str, Any]) -> dict[str, Any]:
    from kseq.agreement.compare import Comparison

    differences: list[dict[str, Any]] = []
    comparison = Comparison([])
    entries: dict[Any, dict[str, Any]] = {}
    for name, result in results.items():
        if result is None or result.outcome == "failed":
            text = "did not run" if result is None else result.text.strip()
            differences.append(
                {
                    "inputs": "",
                    "dtype": "",
                    "kind": "",
                    "what": "crash",
                    "runs": [name],
                    "text": f"{NAMES[name]}: {text.splitlines()[-1]}",
                }
            )
            continue
        for entry in result.entries:
            entries.setdefault(entry.key, {})[name] = entry
    computed = 0
    for (number, dtype, kind), by_run in sorted(entries.items()):
        given = [e for e in by_run.values() if not e.error and not e.left_out]
        if not given and not all(
            e.error or e.left_out for e in by_run.values()
        ):
            continue
        if all(e.error for e in by_run.values()):
            continue  # unsupported everywhere
        computed += len(given) > 1
        if number >= len(row.calls):
            print(row.name, number, len(row.calls))
            continue
        call = row.calls[number]
        for difference in compare_call(comparison, row.name, by_run):
            differences.append(
                {
                    "inputs": call.inputs,
                    "call": number,
                    "dtype": dtype,
                    "kind": kind,
                    **difference,
                }
            )
    largest: dict[str, float] = {}
    bad = {
        (d["call"], d["dtype"], d["kind"])
        for d in differences
        if d["what"] == "value"
    }
    for key, difference in comparison_keys(comparison, entries):
        if key not in bad:
            name = f"{key[1]} {'gradients' if key[2] == 'gradients' else 'forward'}"
            largest[name] = max(largest.get(name, 0.0), difference.between_runs)
    return {
        "name": row.name,
        "calls": len(row.calls),
        "computed": computed,
        "largest": {n: float(f"{x:.1e}") for n, x in largest.items()},
        "narrowed": sorted(
            {
                n
                for by_run in entries.values()
                for r, e in by_run.items()
                if e.narrowed
                for n in [NAMES[r]]
            }
        ),
        "differences": merged(differences),
    }


def comparison_keys(comparison: Any, entries: Any) -> Any:
    for difference in comparison.differences:
        number, dtype, kind = difference.test
        yield (number, dtype, kind), difference


def compare_call(comparison: Any, name: str, by_run: dict[str, Any]) -> Any:
    """Yield what differs in one computation."""
    from kseq.agreement.compare import compare_entries

    errors = {n: e.error.strip() for n, e in by_run.items() if e.error}
    if errors:
        lines = {n: error_line(e) for n, e in errors.items()}
        text = "; ".join(
            f"{NAMES[n]} raises {line}" for n, line in lines.items()
        )
        yield {"what": "error", "runs": [*errors], "text": text}
    own: dict[str, list[str]] = {}
    for n, e in by_run.items():
        for text in e.own:
            own.setdefault(text.split("\n")[0], []).append(n)
    for text, runs in own.items():
        what = SYMBOLIC if "symbolic call" in text else "own"
        where = (
            ""
            if len(runs) == len(by_run)
            else " on " + ", ".join(NAMES[n] for n in runs)
        )
        yield {"what": what, "runs": runs, "text": f"{text[:160]}{where}"}
    rest = {}
    for n, e in by_run.items():
        if not e.error and not e.left_out:
            e.own = []
            rest[n] = e
    if len(rest) < 2:
        return
    first = next(iter(rest.values()))
    for failure in compare_entries(comparison, first.key, rest):
        where = str(failure.where).split(", ")
        array = (
            where[-1]
            if where[-1][:3] in ("out", "mas", "los", "sta", "com")
            or failure.text.find(" at ") > 0
            else ""
        )
        text = re.sub(
            r"^(the runs differ|\w+ alone differs) ?", "", failure.text
        )
        what = next(
            (
                w
                for w in ("dtype", "structure", "shape")
                if f"{w} differs" in text or f"{w}s differ" in text
            ),
            "value",
        )
        if re.search(r"\binf\b|\bnan\b", text) and what == "value":
            what = "nan"
        for n in BACKENDS:
            text = re.sub(rf"\b{n}\b", NAMES[n], text)
        yield {
            "what": what,
            "runs": list(failure.runs),
            "array": array,
            "text": text[:240],
        }


def error_line(error: str) -> str:
    lines = [
        x
        for x in error.splitlines()
        if re.match(r"^[\w.]*(Error|Exception|Warning)\b", x)
    ]
    line = lines[-1] if lines else error.splitlines()[-1]
    if re.match(r"^\w+: Exception encountered", line):
        cause = re.search(r"\x1b\[1m(.*?)\x1b\[0m", error)
        line = line.split(":")[0] + (f": {cause[1]}" if cause else "")
    return re.sub(
        r"\{\{.*?\}\}|\x1b\[\d*m",
        "",
        line.split(".")[-1] if line.count(".") and ": " not in line else line,
    ).strip()[:150]


def merged(differences: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One entry for a difference in several dtypes and kinds."""
    found: dict[Any, dict[str, Any]] = {}
    for d in sorted(differences, key=lambda d: d["dtype"]):  # float32 first
        text = re.sub(r"[\d.e+-]+", "#", d["text"])
        kind = d["kind"].replace("training", "forward")
        if d["what"] in ("error", "own", SYMBOLIC, "dtype", "structure"):
            kind = "" if d["what"] != "error" else kind
            key: Any = (d["what"], text, kind)
        else:
            key = (d["inputs"], d.get("call"), d["what"], kind, d.get("array"))
        one = found.setdefault(key, {**d, "dtypes": []})
        if d["dtype"] and d["dtype"] not in one["dtypes"]:
            one["dtypes"].append(d["dtype"])
    return list(found.values())


def decide(name: str, difference: dict[str, Any]) -> Any:
    """Return the first decision that applies, or None."""
    for decision in DECISIONS:
        if not any(fnmatchcase(name, p) for p in decision.rows):
            continue
        if decision.what and difference["what"] not in decision.what:
            continue
        if decision.inputs and not any(
            fnmatchcase(difference["inputs"], p) for p in decision.inputs
        ):
            continue
        if decision.kind and not difference["kind"].startswith(decision.kind):
            continue
        if decision.dtypes and set(difference["dtypes"]) - set(decision.dtypes):
            continue
        if decision.text and not re.search(decision.text, difference["text"]):
            continue
        return decision
    return None


def verdicts(row: dict[str, Any]) -> list[tuple[dict[str, Any], Any]]:
    return [(d, decide(row["name"], d)) for d in row["differences"]]


def status(row: dict[str, Any]) -> str:
    """The worst verdict on a row's differences."""
    kinds = {d.verdict if d else UNDECIDED for _, d in verdicts(row)}
    for kind in (FAULT, UNDECIDED, CONVENTION):
        if kind in kinds:
            return kind
    return "agrees" if row["computed"] else "not computed"


def keeps_claim(row: dict[str, Any], limit: float = CLAIM) -> bool:
    """Whether all float32 results of calls are equal to 1e-7."""
    forward = [
        d
        for d in row["differences"]
        if "float32" in d["dtypes"]
        and not d["kind"].startswith("grad")
        and d["what"] not in (SYMBOLIC, "own")
    ]
    return not forward and row["largest"].get("float32 forward", 0.0) <= limit


def escape(text: str) -> str:
    text = re.sub(r"\s+", " ", text).replace("|", "\\|")
    return re.sub(r"[<>*_`$\[\]{}]", lambda m: "\\" + m[0], text)


def number(x: float | None) -> str:
    return (
        ""
        if x is None
        else "equal"
        if x == 0
        else f"{x:.0e}".replace("e-0", "e-")
    )


def render(data: dict[str, Any]) -> str:
    rows = data["rows"]
    computed = [r for r in rows if r["computed"]]
    states = Counter(status(r) for r in rows)
    groups = Counter(r["name"].split(".")[0] for r in computed)
    total = len(computed)
    kept = sum(map(keeps_claim, computed))
    near = sum(keeps_claim(r, 1e-6) for r in computed)
    with_gradients = [
        r for r in computed if "float32 gradients" in r["largest"]
    ]
    narrowed = sum(bool(r["narrowed"]) for r in computed)
    versions = {n.removesuffix("-cpu"): v for n, v in data["versions"].items()}
    narrow = sum(
        status(r) == FAULT
        and all(
            d["what"] == SYMBOLIC or d["dtypes"] == ["float64"]
            for d, v in verdicts(r)
            if v and v.verdict == FAULT
        )
        for r in computed
    )
    shown = ", ".join(
        f"{label} {versions[n]}"
        for n, label in (
            ("keras", "Keras"),
            ("tensorflow", "TensorFlow"),
            ("torch", "PyTorch"),
            ("jax", "JAX"),
            ("numpy", "NumPy"),
        )
        if n in versions
    )
    by_whose: dict[str, list[str]] = {}
    for r in computed:
        for whose in {
            d.whose for _, d in verdicts(r) if d and d.verdict == FAULT
        }:
            by_whose.setdefault(whose, []).append(r["name"])
    lines = [
        "# A scoreboard of Keras",
        "",
        "Every public function of `keras.ops`, layer, loss and activation that can be called",
        "automatically, computed on TensorFlow, PyTorch and JAX and compared by",
        "[kseq.agreement](../own_layers.md): outputs and gradients, float32 and float64, normal",
        "numbers, ties and zeros, NaN and infinity, integers, bools, empty rows.",
        "`tox run -e scoreboard` writes this page, in ten minutes on two cores.",
        "",
        f"Measured {data['date']} on a CPU with {shown}.",
        "",
        "## Summary",
        "",
        "| result | number |",
        "|---|---|",
        f"| compared | {total}: {groups['ops']} functions of `keras.ops`, {groups['layers']} layers, {groups['losses']} losses, {groups['activations']} activations |",
        f"| agree in every call | {states['agrees']} of {total} |",
        f"| differ by a convention only | {states[CONVENTION]} |",
        f"| have a fault | {states[FAULT]} |",
        "| by origin; a function may have faults of several | "
        + "; ".join(
            f"{len(v)} of {k}"
            for k, v in sorted(by_whose.items(), key=lambda x: -len(x[1]))
        )
        + " |",
        f"| of these faults | {narrow} only in float64 or in what a symbolic call promises |",
        f"| differ, undecided | {states[UNDECIDED]} |",
        f"| keep Keras's claim | {kept} of {total} have float32 outputs that are equal to 1e-7 of the largest element in every call; {near} to 1e-6 |",
        f"| gradients | {len(with_gradients)} have float32 gradients on two backends or more |",
        f"| float64 in 32 bits | {narrowed} compute float64 in 32 bits on some backend |",
        "",
        "A row counts once, for the worst of its differences. NumPy, SciPy or one-sided finite",
        "differences decide most faults, as the tables say; the other backends, or Keras's symbolic",
        "call, decide the rest. A difference in a call that raises an error on every backend is not",
        "counted.",
        "",
        "## Faults",
        "",
        "| functions | fault of | fault | script |",
        "|---|---|---|---|",
    ]
    lines += decided(computed, FAULT)
    lines += [
        "",
        "## Conventions",
        "",
        "No backend is wrong: mathematics or Keras leaves the result open.",
        "",
        "| functions | convention |",
        "|---|---|",
    ]
    lines += decided(computed, CONVENTION)
    lines += ["", "## Undecided", ""]
    open_ = [
        (r["name"], d) for r in computed for d, v in verdicts(r) if v is None
    ]
    lines += (
        ["| function | inputs | computed | difference |", "|---|---|---|---|"]
        if open_
        else ["None."]
    )
    lines += [
        f"| `{name}` | {d['inputs']} | {' '.join([*d['dtypes'], d['kind'] if d['what'] not in (SYMBOLIC,) else 'symbolic'])} | {escape(d.get('array', '') + ' ' + d['text'])} |"
        for name, d in open_
    ]
    lines += [
        "",
        "## Rows",
        "",
        "The largest difference between the backends, relative to the array's largest element, in",
        "the calls whose arrays agree; float64 in brackets is computed in 32 bits by Keras on the",
        "backends in the last column.",
        "",
        "| function | calls | float32 | gradients | float64 | gradients | differs | notes |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for r in rows:
        if not r["computed"]:
            continue
        wide = [
            number(r["largest"].get(f"float64 {k}"))
            for k in ("forward", "gradients")
        ]
        if r["narrowed"]:
            wide = [f"({x})" if x else "" for x in wide]
        narrow = [
            number(r["largest"].get(f"float32 {k}"))
            for k in ("forward", "gradients")
        ]
        lines.append(
            f"| `{r['name']}` | {r['calls']} | "
            + " | ".join([*narrow, *wide])
            + f" | {row_text(r)} | {'32 bits: ' + ', '.join(r['narrowed']) if r['narrowed'] else ''} |"
        )
    left = {**data["left_out"]}
    left |= {
        r["name"]: "draws random numbers" for r in rows if not r["computed"]
    }
    lines += ["", "Left out:", ""]
    lines += [f"- `{n}`: {why}" for n, why in sorted(left.items())]
    return "\n".join(lines) + "\n"


def decided(rows: list[dict[str, Any]], verdict: str) -> list[str]:
    found: dict[int, set[str]] = {}
    for r in rows:
        for _, d in verdicts(r):
            if d and d.verdict == verdict:
                found.setdefault(DECISIONS.index(d), set()).add(r["name"])
    lines = []
    for i, names in sorted(found.items()):
        d = DECISIONS[i]
        shown = ", ".join(f"`{n}`" for n in sorted(names)[:6])
        if len(names) > 6:
            shown += f" and {len(names) - 6} more"
        sentence = d.sentence + (f" {d.reference}" if d.reference else "")
        scripts = ", ".join(f"[`{s}`](../upstream/{s}.py)" for s in d.scripts)
        lines.append(
            f"| {shown} | {d.whose} | {sentence} | {scripts} |"
            if verdict == FAULT
            else f"| {shown} | {sentence} |"
        )
    return lines


def row_text(row: dict[str, Any]) -> str:
    state = status(row)
    if state == "agrees":
        return ""
    runs = {NAMES[n] for d in row["differences"] for n in d["runs"]}
    return f"{state}: {', '.join(sorted(runs))}" if runs else state


def main() -> None:
    if len(sys.argv) > 1:
        data = collect(Path(sys.argv[1]))
        data["made"] = datetime.date.today().isoformat()
        text = json.dumps(data, separators=(",", ":"))
        # A line for each row, so that changes can be read.
        text = text.replace('{"name":', '\n{"name":')
        DATA.write_text(text + "\n", encoding="utf-8")
    data = json.loads(DATA.read_text(encoding="utf-8"))
    PAGE.write_text(render(data), encoding="utf-8")


if __name__ == "__main__":
    main()
