"""The results as tables in Markdown."""

SIGNS = {True: "yes", False: "**no**", None: "-"}


def lines_of(found):
    """A line for each result, with its evidence."""
    return [
        f"{SIGNS[row['holds']].strip('*'):4}{row['library']} {row['version']}, "
        f"{row['model']}: {row['promise']}: {row['evidence']}"
        for row in found["rows"]
    ]


def page(found):
    """A column for each library, and the evidence where one says no."""
    rows = found["rows"]
    libraries = dict.fromkeys(_library(row) for row in rows)
    lines = [
        f"Python {found['python']}, PyTorch {found['torch']}, Keras "
        f"{found['keras']}; `-`: no such loss; empty: no such model.",
        "",
        "| | model | " + " | ".join(libraries) + " |",
        "|---" * (2 + len(libraries)) + "|",
    ]
    order = {
        p: i for i, p in enumerate(dict.fromkeys(r["promise"] for r in rows))
    }
    models = {
        m: i for i, m in enumerate(dict.fromkeys(r["model"] for r in rows))
    }
    ordered = sorted(
        {(r["promise"], r["model"]) for r in rows},
        key=lambda key: (order[key[0]], models[key[1]]),
    )
    cells = {(r["promise"], r["model"], _library(r)): r for r in rows}
    for promise, model in ordered:
        signs = [
            SIGNS[cells[promise, model, library]["holds"]]
            if (promise, model, library) in cells
            else ""
            for library in libraries
        ]
        lines.append(f"| {promise} | {model} | {' | '.join(signs)} |")
    lines += ["", 'The evidence for each "no":', ""]
    lines += [
        f"- {row['library']}, {row['model']}: {row['promise']}: "
        f"{row['evidence']}"
        for row in rows
        if row["holds"] is False
    ]
    return "\n".join(lines) + "\n"


def _library(row):
    return f"{row['library']} {row['version']}"
