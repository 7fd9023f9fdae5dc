"""The designs that `bench-precision` compares find a known tax in trials that drift."""

import numpy as np
import pytest

from benchmarks.designs import AGAIN, DESIGNS, Cell


def _drifting(tax_ms: float, drift_ms: float = 0.0) -> list[Cell]:
    rng = np.random.default_rng(3)
    found = []
    for block in range(40):
        requests = rng.uniform(250, 350, 8)
        for place, label in enumerate(rng.permutation(["none", AGAIN, "delay"])):
            at = 3 * block + place
            values = requests + drift_ms * at + tax_ms * (label == "delay")
            found.append(Cell(block, str(label), at, values))
    return found


@pytest.mark.parametrize("design", DESIGNS)
def test_a_tax_on_a_still_machine_is_found_exactly(design: str) -> None:
    found = DESIGNS[design](_drifting(20.0), "delay")
    # Neighbours in time may be of another block, with other requests.
    slack = {"neighbours in time": 15.0, "log-ratio by block": 0.1}.get(design, 1e-9)
    assert found == pytest.approx(20.0, abs=slack)


@pytest.mark.parametrize("design", DESIGNS)
def test_two_baselines_alike_show_no_tax(design: str) -> None:
    slack = 15.0 if design == "neighbours in time" else 1e-9
    assert DESIGNS[design](_drifting(20.0), AGAIN) == pytest.approx(0.0, abs=slack)


def test_a_steady_drift_leaves_the_paired_difference_near_the_truth() -> None:
    assert DESIGNS["difference of means"](_drifting(20.0, drift_ms=1.0), "delay") == pytest.approx(20.0, abs=1.0)
