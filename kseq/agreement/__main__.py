"""The command line: `python -m kseq.agreement run|record|compare`."""

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
        description="Do a layer's numbers agree between Keras's backends?",
        epilog="Exit code: 0 they agree, 1 they do not, 2 anything else.",
    )
    commands = top.add_subparsers(required=True, metavar="command")

    run = commands.add_parser(
        "run", help="compute a file's cases on each backend and compare"
    )
    run.add_argument("module", type=Path, help="a Python file with @case")
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
        help="folder for records and reports (default: %(default)s)",
    )
    run.set_defaults(run=run_command)

    record = commands.add_parser(
        "record", help="compute a file's cases on KERAS_BACKEND"
    )
    record.add_argument("module", type=Path, help="a Python file with @case")
    record.add_argument("--out", type=Path, required=True, help="a .npz file")
    record.set_defaults(run=record_command)

    comparing = commands.add_parser(
        "compare", help="compare a folder's records"
    )
    comparing.add_argument("folder", type=Path, help="holds one .npz a run")
    comparing.add_argument(
        "--runs",
        type=names,
        help="the runs to compare, such as tensorflow,torch,jax, which must be "
        "there (default: all that are)",
    )
    comparing.add_argument(
        "--out", type=Path, help="folder for reports (default: the records')"
    )
    comparing.set_defaults(run=compare_command)
    return top


def names(text: str) -> tuple[str, ...]:
    return tuple(name for name in text.split(",") if name)


def run_command(options: argparse.Namespace) -> int:
    check_parses("module", options.module)
    check_backends("--backends", options.backends)
    check_writable("--out", options.out / REPORTS[0])
    # An older run's must not pass for this one's.
    delete_reports(options.out)
    failed = run_backends(options.module, options.backends, options.out)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
        return 2
    return told(compare(options.out, options.backends), options.out)


def record_command(options: argparse.Namespace) -> int:
    record_module(options.module, options.out)
    return 0


def compare_command(options: argparse.Namespace) -> int:
    return told(
        compare(options.folder, options.runs), options.out or options.folder
    )


def told(comparison: Comparison, out: Path) -> int:
    """Print and write a comparison; its exit code."""
    # Imported here: a record can be made without rich.
    from rich.console import Console

    from kseq.agreement.report import print_report, write_reports

    # In a log nothing says how wide it is: not so narrow that tables wrap.
    console = Console(width=None if sys.stdout.isatty() else 120)
    print_report(comparison, console)
    with writing("--out", out):
        write_reports(comparison, out)
    console.print(f"Report: {out / 'index.html'}", soft_wrap=True)
    return 0 if comparison.agrees else 1


if __name__ == "__main__":
    sys.exit(main())
