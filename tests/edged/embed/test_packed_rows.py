"""Rows at four bits a value: small errors that average out, refusal of what cannot be packed."""

import numpy as np
import pytest

from edged.embed.packed_rows import pack_rows, unpack_rows

RNG = np.random.default_rng(3)


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def test_cosines_to_other_rows_stay_within_a_hundredth_or_two():
    rows, others = unit(RNG.standard_normal((500, 128))), unit(RNG.standard_normal((40, 128)))
    packed, scales = pack_rows(rows)
    assert packed.nbytes + scales.nbytes == 500 * (64 + 2)
    again = unit(unpack_rows(packed, scales))
    assert float(np.sum(rows * again, axis=1).min()) > 0.98
    errors = (again - rows) @ others.T
    assert float(np.abs(errors).max()) < 0.06
    assert float(errors.std()) < 0.012


def test_zero_rows_stay_zero():
    packed, scales = pack_rows(np.zeros((2, 4), np.float32))
    assert not unpack_rows(packed, scales).any()


def test_the_largest_values_are_kept_as_they_are():
    rows = np.array([[1.0, -1.0, 0.0, 0.5]], np.float32)
    assert unpack_rows(*pack_rows(rows))[0, :3].tolist() == pytest.approx([1.0, -1.0, 0.0], abs=1e-3)


@pytest.mark.parametrize("rows", [np.zeros((2, 3)), np.full((2, 4), np.nan), np.full((2, 4), np.inf)])
def test_what_cannot_be_packed_is_refused(rows):
    with pytest.raises(ValueError, match="even number of finite"):
        pack_rows(rows.astype(np.float32))
