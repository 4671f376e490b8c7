"""How many mutants of each room the tests kill: `python -m tests.mutation`.

mutmut makes the mutants and runs them, in a copy of the project for each room
and stage; what it found stays there, and a second run does what is left. At the
end a table, and the survivors that `equivalent.txt` does not explain.
"""

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.mutation.results import (
    NO_TESTS,
    NOT_RUN,
    Mutant,
    explained,
    mutants,
    table,
)
from tests.mutation.rooms import ROOMS, Room, Stage

ROOT = Path(__file__).parents[2]
COPIED = ("kseq", "tests", "pyproject.toml")


def main() -> int:
    names = [room.name for room in ROOMS]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rooms", nargs="*", help=f"of {', '.join(names)}")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument(
        "--out", type=Path, default=ROOT / ".outputs" / "mutation"
    )
    parser.add_argument(
        "--show", action="store_true", help="what earlier runs found"
    )
    options = parser.parse_args()
    found = {}
    for room in ROOMS:
        if room.name in (options.rooms or names):
            if not options.show:
                run(room, options.out, options.processes)
            found[room.name] = outcomes(room, options.out).values()
    print(table(found, explained()))
    return 0


def folder_of(room: Room, stage: Stage, out: Path) -> Path:
    return out / room.name / str(room.stages.index(stage))


def outcomes(
    room: Room, out: Path, stages: int | None = None
) -> dict[str, Mutant]:
    """All mutants of a room, each with what its first stages made of it."""
    found: dict[str, Mutant] = {}
    for stage in room.stages[:stages]:
        for name, mutant in mutants(folder_of(room, stage, out)).items():
            if name not in found or (
                found[name].alive and mutant.outcome not in (NOT_RUN, NO_TESTS)
            ):
                found[name] = mutant
    return found


def run(room: Room, out: Path, processes: int) -> None:
    left: list[str] = []
    for number, stage in enumerate(room.stages):
        folder = folder_of(room, stage, out)
        copy(folder, configuration(room, stage))
        if number:
            mutate(folder, stage.backend, processes, left)
        else:
            before = alive(folder)
            mutate(folder, stage.backend, processes, room.sample)
            # mutmut lets results stand; but the tests may be new.
            again = sorted(before & alive(folder))
            if again and not room.sample:
                mutate(folder, stage.backend, processes, again)
        # Not what later stages made of it in an earlier run.
        found = outcomes(room, out, number + 1)
        left = [name for name, mutant in found.items() if mutant.alive]
        if not left:
            break


def alive(folder: Path) -> set[str]:
    return {name for name, mutant in mutants(folder).items() if mutant.alive}


def mutate(
    folder: Path, backend: str, processes: int, names: Sequence[str]
) -> None:
    """Run mutmut; it goes on where it was stopped, if it is given no names."""
    subprocess.run(
        [
            *(sys.executable, "tests/mutation/mutmut_for_keras.py", "run"),
            *("--max-children", str(processes), *names),
        ],
        cwd=folder,
        env=os.environ | {"KERAS_BACKEND": backend, "OMP_NUM_THREADS": "1"},
        check=True,
    )


def copy(folder: Path, configured: str) -> None:
    """The project as it is now, beside what an earlier run found."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in COPIED:
        source, target = ROOT / name, folder / name
        if source.is_dir():
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(
                source, target, ignore=shutil.ignore_patterns("__pycache__")
            )
        else:
            target.write_text(source.read_text() + configured)


def configuration(room: Room, stage: Stage) -> str:
    """mutmut's table, behind what pyproject.toml says of it."""
    lines = {
        "source_paths": ["kseq"],
        # Each mutant's process is forked of one that has imported all and run
        # nothing: threads of a backend would be lost.
        "process_isolation": "forkserver",
        # Generous: a machine that is busy must not pass for a loop without end.
        "timeout_constant": 4.0,
        "timeout_multiplier": 15.0,
        # pytest collects all garbage, twice, which copies all memory.
        "pytest_add_cli_args": [
            *("-p", "no:unraisableexception"),
            *("-p", "no:cacheprovider"),
        ],
        "only_mutate": list(room.files),
        # They hold no function.
        "do_not_mutate": ["*/__init__.py", *room.without],
        "pytest_add_cli_args_test_selection": list(stage.tests),
    }
    return "\n[tool.mutmut]\n" + "".join(
        f"{name} = {value!r}\n" for name, value in lines.items()
    )


if __name__ == "__main__":
    sys.exit(main())
