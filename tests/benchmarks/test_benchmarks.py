"""The benchmarks' arithmetic, and the page they write.

`python -m benchmarks` compares the numbers of all contenders.
"""

from pathlib import Path

import numpy as np
import pytest

from benchmarks import growth, measure
from benchmarks.contenders import CONTENDERS
from benchmarks.results import FILE, Results, compare_numbers

pytestmark = pytest.mark.once

FOLDER = Path(__file__).parents[2] / "benchmarks"


def test_ratio_compares_with_kseq_on_the_same_framework(tmp_path):
    rows = [
        {"workload": "BiLSTM", "contender": name, "train": {"median": ms}}
        for name, ms in (("deepctr", 30), ("kseq-graph", 20), ("kseq-jax", 10))
    ]
    Results({}, rows).save(tmp_path)
    results = Results.load(tmp_path)
    assert results.ratio("BiLSTM", "deepctr", "train") == 1.5
    assert results.ratio("BiLSTM", "naive-jax", "train") is None
    assert {c.baseline for c in CONTENDERS.values()} <= CONTENDERS.keys()


@pytest.mark.parametrize(
    ("first", "expected", "text"),
    [
        ([2.0, -100.0], 0.01, "different (1e-02)"),
        ([1.001, -100.0], 1e-5, "equal"),
        ([1.0, np.nan], np.inf, "different (inf)"),
        ([1.0], None, "different"),
    ],
)
def test_difference_is_relative_to_the_largest_value(
    tmp_path, first, expected, text
):
    a, b = tmp_path / "a.npz", tmp_path / "b.npz"
    np.savez(a, np.array(first), np.array([1.0]))
    np.savez(b, np.array([1.0, -100.0]), np.array([1.0]))
    difference = measure.difference(a, b)
    assert difference == pytest.approx(expected)
    assert compare_numbers({"difference": difference}) == text


def test_slope_is_the_exponent_between_the_largest_sizes():
    assert growth.slope([(100, 50.0), (1, 5.0), (10, 5.0)]) == pytest.approx(1)
    assert growth.slope([(2, 4.0), (3, 9.0)]) == pytest.approx(2)
    assert growth.slope([(1, 5.0)]) is None


def test_page_and_plots_are_those_of_the_recorded_data(tmp_path):
    pytest.importorskip("matplotlib", reason="draws the plots")
    from benchmarks import page

    recorded = FOLDER / "results"
    for name in (FILE, growth.FILE):
        (tmp_path / name).write_text((recorded / name).read_text())
    page.write(Results.load(tmp_path), tmp_path)
    text = (recorded / "README.md").read_text()
    assert (tmp_path / "README.md").read_text() == text
    plots = {path.name for path in tmp_path.glob("*.svg")}
    assert plots == {path.name for path in recorded.glob("*.svg")}
    assert all(f"]({name})" in text for name in plots)
