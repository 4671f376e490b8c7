"""The command `kseq-agreement compare`."""

import sys
from argparse import Namespace
from pathlib import Path

from rich.console import Console

from kseq.agreement.compare import compare
from kseq.agreement.github import annotate
from kseq.agreement.known import settings_of
from kseq.agreement.report import print_report, write_reports
from kseq.files import writing


def compare_command(options: Namespace) -> int:
    """Print and save the reports; return 0 if the runs agree, else 1."""
    runs = options.runs and [name for name in options.runs.split(",") if name]
    folder = Path(options.folder)
    known, explain = settings_of(Path(options.config))
    comparison = compare(folder, runs, known, explain)
    # rich assumes 80 columns when there is no terminal, and tables would wrap.
    console = Console(width=None if sys.stdout.isatty() else 120)
    print_report(comparison, console)
    out = Path(options.out or folder)
    with writing("--out", out):
        write_reports(comparison, out)
    console.print(f"Report: {out / 'index.html'}", soft_wrap=True)
    if options.github:
        annotate(comparison, [run.name for run in comparison.runs])
    return 0 if comparison.agrees else 1
