"""The benchmarks' arithmetic: quartiles, ratios, claims and slopes."""

import numpy as np
import pytest

from benchmarks import growth, lineup, measure, report, results, works
from benchmarks.claims import CLAIMS, Claim
from benchmarks.results import Results, numbers
from benchmarks.text import digits, markdown


def row(contender, ms, first=1.0, **more):
    return {
        "work": "BiLSTM",
        "contender": contender,
        "forward": {"median": ms / 2},
        "train": {"median": ms},
        "first": {"forward": first, "train": 2 * first},
        **more,
    }


RESULTS = Results(
    {},
    [row("deepctr", 30, first=8), row("kseq-graph", 20), row("kseq-xla", 10)],
    [{"work": "BiLSTM", "contender": "kseq-graph", "mb": 100}],
)


def test_quartiles():
    found = measure.quartiles([4.0, 1.0, 2.0, 3.0, 5.0])
    assert found == {"low": 2, "median": 3, "high": 4, "rounds": 5}
    assert measure.quartiles([7.0])["high"] == 7


def test_results_are_read_as_they_were_saved(tmp_path):
    RESULTS.save(tmp_path)
    assert Results.load(tmp_path) == RESULTS


def test_runs_made_again_stand_behind_the_first(tmp_path):
    RESULTS.save(tmp_path, "again-1.json")
    RESULTS.save(tmp_path)
    assert results.repeats(tmp_path) == ["again-1.json"]
    slower = [{**row, "train": {"median": 30}} for row in RESULTS.times]
    claim = Claim("BiLSTM", "kseq-graph", "deepctr", 1)
    runs = [RESULTS, Results({}, slower), Results({})]
    assert claim.measured_in(runs) == [1.5, 1]


def test_a_peer_is_compared_with_the_kseq_that_runs_like_it():
    assert RESULTS.ratio("BiLSTM", "deepctr", "train") == 1.5
    assert lineup.ours(lineup.LINEUP["kseq-xla"]) == "kseq-xla"
    assert lineup.ours(lineup.LINEUP["naive-jax"]) == "kseq-jax"


@pytest.mark.parametrize(
    ("claim", "measured", "holds"),
    [
        (Claim("BiLSTM", "kseq-graph", "deepctr", 1.5), 1.5, True),
        (Claim("BiLSTM", "kseq-graph", "deepctr", 1.6), 1.5, False),
        (Claim("BiLSTM", "kseq-xla", "deepctr", 3), 3, True),
        (Claim("BiLSTM", "kseq-graph", "deepctr", 5, "first"), 8, True),
        (Claim("BiLSTM", "kseq-graph", None, 100, "peak"), 100, True),
        (Claim("BiLSTM", "kseq-graph", None, 99, "peak"), 100, False),
    ],
)
def test_a_claim_is_measured(claim, measured, holds):
    assert claim.measured(RESULTS) == measured
    assert claim.holds(measured) is holds


@pytest.mark.parametrize(
    ("measured", "said"),
    [
        ([1.5], "yes, one run"),
        ([1.49, 1.51, 1.52], "yes"),
        ([1.52, 1.49, 1.48], "**no**"),  # the first does not decide
        ([2.0, 1.6, 1.4], "yes, spread 38%"),
    ],
)
def test_the_median_of_the_runs_decides(measured, said):
    claim = Claim("BiLSTM", "kseq-graph", "deepctr", 1.5)
    assert report.verdict(claim, measured) == said


def test_what_was_not_measured_decides_no_claim():
    assert Claim("BiLSTM", "kseq-jax", "deepctr", 1).measured(RESULTS) is None
    peak = Claim("BiLSTM", "kseq-graph", "deepctr", 1, "peak")
    assert peak.measured(RESULTS) is None


def test_claims_are_about_works_and_contenders_that_there_are():
    for claim in CLAIMS:
        assert claim.work in works.WORKS
        names = {claim.ours, claim.peer} - {None}
        assert names <= lineup.LINEUP.keys(), claim


def test_numbers_are_equal_others_or_kseq_s_own():
    assert numbers({}) == ""
    assert numbers({"difference": 1e-5}) == "equal"
    assert numbers({"difference": 0.2}) == "others (2e-01)"
    assert numbers({"difference": None}) == "others"


@pytest.mark.parametrize("power", [0, 1, 2])
def test_the_slope_of_a_power_is_the_power(power):
    points = [(x, 3.0 * x**power) for x in (100, 1, 10)]
    assert growth.slope(points) == pytest.approx(power)


def test_the_slope_is_that_of_the_upper_end():
    assert growth.slope([(1, 5), (10, 5), (100, 50)]) == pytest.approx(1)
    assert growth.slope([(1, 5)]) is None


def test_works_that_grow_have_inputs_of_their_sizes():
    for line in growth.lines():
        value, work = next(iter(line.works()))
        x = work.inputs()[1 if work.kind == "din" else 0]
        sizes = dict(zip("BTE", x.shape, strict=True)) | {"K": work.candidates}
        assert sizes[line.axis] == value


def test_a_work_is_chosen_by_its_name_or_by_a_word():
    assert works.choose(["DIN T=100 E=64"]) == ["DIN T=100 E=64"]
    assert works.choose(["augru"]) == ["AUGRU H=16", "AUGRU H=64"]
    assert works.choose([]) == [*works.WORKS]
    with pytest.raises(ValueError, match=r"works: expected .* received 'GRU5'"):
        works.choose(["GRU5"])


def test_contenders_are_chosen_by_name_module_and_framework():
    (one,) = lineup.choose(["torch"], ["kseq"])
    assert one.name == "kseq-torch"
    with pytest.raises(ValueError, match="contenders: expected"):
        lineup.choose([], ["keras"])


def test_the_difference_is_relative_to_the_largest_of_its_array(tmp_path):
    a, b = tmp_path / "a.npz", tmp_path / "b.npz"
    np.savez(b, np.array([1.0, -100.0]), np.array([1.0]))
    np.savez(a, np.array([2.0, -100.0]), np.array([1.0]))
    assert measure.difference(a, b) == pytest.approx(0.01)
    np.savez(a, np.array([1.0, -100.0]))
    assert measure.difference(a, b) is None


def test_what_is_no_number_is_never_equal(tmp_path):
    paths = tmp_path / "a.npz", tmp_path / "b.npz"
    np.savez(paths[0], np.ones(2), np.array([1.0, np.nan]))
    np.savez(paths[1], np.ones(2), np.ones(2))
    assert numbers({"difference": measure.difference(*paths)}) == "others (inf)"


def test_text():
    assert [digits(x) for x in (0.123, 12.34, 1234.5)] == [
        "0.12",
        "12.3",
        "1234",
    ]
    assert markdown("ab", [["1", "2"]]).splitlines()[2] == "| 1 | 2 |"
