"""Every fuzz target, for a short while (longer: `tests.faults.fuzz`): what others write is read or refused."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.faults.fuzz import __main__ as command
from tests.faults.fuzz.__main__ import TARGETS, make, mutated, past_findings


@pytest.fixture(scope="module", params=sorted(TARGETS))
def target(request, tmp_path_factory):
    made = make(request.param, tmp_path_factory.mktemp(request.param))
    made.name = request.param
    return made


def test_examples_are_taken_and_past_findings_are_no_more(target):
    for data in [*target.seeds, *past_findings(target.name)]:
        target(data)
    assert target.accepted > 0


@settings(max_examples=100)
@given(seed=st.integers(0, 2**32))
def test_mutated_examples(target, seed):
    target(mutated([*target.seeds, *past_findings(target.name)], target.words, random.Random(seed)))


@settings(max_examples=30)
@given(data=st.binary(max_size=300))
def test_any_bytes(target, data):
    target(data)


def test_what_a_target_cannot_import_is_not_taken_for_a_missing_atheris(monkeypatch):
    def without_a_module(*_):
        raise ImportError("not_there")

    monkeypatch.setattr(command.importlib.util, "find_spec", lambda _: True)
    monkeypatch.setattr(command, "_guided", without_a_module)
    with pytest.raises(ImportError, match="not_there"):
        command.main(["config", "--seconds", "1"])
