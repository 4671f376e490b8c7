"""Command line: `python -m kseq.agreement run|record|compare`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from kseq.agreement.compare import Comparison, compare
from kseq.agreement.files import REPORTS, delete_reports
from kseq.agreement.run import check_backends, record_module, run_backends
from kseq.files import check_writable, writing
from kseq.scripts import check_parses, exit_code


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    return exit_code(lambda: options.run(options))


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="python -m kseq.agreement",
        description="Check that a layer agrees between Keras backends.",
        epilog="Exit code: 0 if the runs agree, 1 if they do not, 2 on errors.",
    )
    commands = top.add_subparsers(required=True, metavar="command")

    run = commands.add_parser(
        "run", help="compute a file's cases on each backend and compare them"
    )
    run.add_argument(
        "module", type=Path, help="a Python file that defines cases"
    )
    run.add_argument(
        "--backends",
        type=names,
        default=("tensorflow", "torch", "jax"),
        help="default: tensorflow,torch,jax",
    )
    run.add_argument(
        "--out",
        type=Path,
        default=Path("agreement-report"),
        help="directory for records and reports (default: %(default)s)",
    )
    run.set_defaults(run=run_command)

    record = commands.add_parser(
        "record", help="compute a file's cases on the current backend"
    )
    record.add_argument(
        "module", type=Path, help="a Python file that defines cases"
    )
    record.add_argument(
        "--out", type=Path, required=True, help="the .npz file to write"
    )
    record.set_defaults(run=record_command)

    comparison = commands.add_parser(
        "compare", help="compare the records in a directory"
    )
    comparison.add_argument(
        "folder", type=Path, help="directory with one .npz file per run"
    )
    comparison.add_argument(
        "--runs",
        type=names,
        help="required runs, such as tensorflow,torch,jax; others are ignored "
        "(default: all runs found)",
    )
    comparison.add_argument(
        "--out", type=Path, help="directory for reports (default: folder)"
    )
    comparison.set_defaults(run=compare_command)
    return top


def names(text: str) -> tuple[str, ...]:
    return tuple(name for name in text.split(",") if name)


def run_command(options: argparse.Namespace) -> int:
    check_parses("module", options.module)
    check_backends("--backends", options.backends)
    check_writable("--out", options.out / REPORTS[0])
    # A failed run must not leave an older report behind.
    delete_reports(options.out)
    failed = run_backends(options.module, options.backends, options.out)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
        return 2
    comparison = compare(options.out, options.backends)
    return report_and_exit_code(comparison, options.out)


def record_command(options: argparse.Namespace) -> int:
    record_module(options.module, options.out)
    return 0


def compare_command(options: argparse.Namespace) -> int:
    comparison = compare(options.folder, options.runs)
    return report_and_exit_code(comparison, options.out or options.folder)


def report_and_exit_code(comparison: Comparison, out: Path) -> int:
    """Print and save the reports; return 0 if the runs agree, else 1."""
    # rich is optional: `record` works without it.
    from rich.console import Console

    from kseq.agreement.report import print_report, write_reports

    # rich assumes 80 columns when there is no terminal, and tables would wrap.
    console = Console(width=None if sys.stdout.isatty() else 120)
    print_report(comparison, console)
    with writing("--out", out):
        write_reports(comparison, out)
    console.print(f"Report: {out / 'index.html'}", soft_wrap=True)
    return 0 if comparison.agrees else 1


if __name__ == "__main__":
    sys.exit(main())
