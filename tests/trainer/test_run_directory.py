"""A run's directory belongs to one recipe and its data, and is not overwritten by mistake."""

import json
import os
from pathlib import Path

import pytest
import yaml

from edged.errors import ConfigError, UsageError
from trainer.checkpoints import LAST_CHECKPOINT
from trainer.run_directory import RunDirectory

CONFIG = {"recipe": {"batch_size": 8, "clips": (8, 6)}, "data": "recordings", "noise": None, "seed": 0}


@pytest.fixture
def used(tmp_path: Path) -> Path:
    """A run that was killed after its first checkpoint."""
    path = tmp_path / "run"
    RunDirectory.open(path, {**CONFIG, "recipe": {"batch_size": 8, "clips": [8, 6]}}, resume=False)
    (path / LAST_CHECKPOINT).write_bytes(b"x")
    return path


def as_lists(config: dict) -> dict:
    return json.loads(json.dumps(config))


def test_a_new_directory_says_what_and_where(tmp_path: Path) -> None:
    path = tmp_path / "a" / "run"
    RunDirectory.open(path, as_lists(CONFIG), resume=False)
    assert yaml.safe_load((path / "config.yaml").read_text()) == as_lists(CONFIG)
    (start,) = json.loads((path / "environment.json").read_text())
    assert start["packages"]["torch"].startswith("2.")
    assert start["cores"] >= start["threads"] > 0


def test_resuming_goes_on_and_notes_the_second_start(used: Path) -> None:
    RunDirectory.open(used, as_lists(CONFIG), resume=True)
    assert len(json.loads((used / "environment.json").read_text())) == 2


def test_resuming_where_nothing_is_begins(tmp_path: Path) -> None:
    assert RunDirectory.open(tmp_path / "run", as_lists(CONFIG), resume=True).checkpoint(resume=True) is None


def test_a_run_is_not_started_over_by_mistake(used: Path) -> None:
    with pytest.raises(UsageError, match=r"holds a run already; add --resume"):
        RunDirectory.open(used, as_lists(CONFIG), resume=False)


def test_a_start_that_failed_does_not_bind_the_next(tmp_path: Path) -> None:
    """A run refused for a broken recording left its configuration, which refused the run without that recording."""
    RunDirectory.open(tmp_path / "run", as_lists(CONFIG), resume=False)
    RunDirectory.open(tmp_path / "run", {**as_lists(CONFIG), "seed": 1}, resume=False)
    assert yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())["seed"] == 1


@pytest.mark.parametrize("resume", [True, False])
def test_another_recipe_is_refused_by_its_fields(used: Path, resume: bool) -> None:
    other = {**as_lists(CONFIG), "recipe": {"batch_size": 16, "clips": [8, 6]}, "noise": "rain"}
    before = sorted((p.name, p.read_bytes()) for p in used.iterdir())
    with pytest.raises(ConfigError, match=r"recipe.batch_size was 8, is 16; noise was None, is rain") as refused:
        RunDirectory.open(used, other, resume=resume)
    assert "clips" not in str(refused.value)
    assert sorted((p.name, p.read_bytes()) for p in used.iterdir()) == before


@pytest.mark.parametrize("resume", [True, False])
def test_a_foreign_directory_is_left_alone(tmp_path: Path, resume: bool) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"x")
    with pytest.raises(UsageError, match="of no run"):
        RunDirectory.open(tmp_path, as_lists(CONFIG), resume=resume)
    assert [path.name for path in tmp_path.iterdir()] == ["holiday.jpg"]


def test_a_configuration_of_another_program_is_left_alone(tmp_path: Path) -> None:
    """A project's own config.yaml made its directory look like a run that had failed early, and was written over."""
    (tmp_path / "config.yaml").write_text("port: 80\n")
    with pytest.raises(UsageError, match="of no run"):
        RunDirectory.open(tmp_path, as_lists(CONFIG), resume=False)
    assert (tmp_path / "config.yaml").read_text() == "port: 80\n"


def test_what_a_kill_left_in_the_first_moment_is_no_obstacle(tmp_path: Path) -> None:
    for name in (".config.yaml.7.partial", ".last.ckpt.8.partial"):
        (tmp_path / name).write_bytes(b"x")
    os.utime(tmp_path / ".last.ckpt.8.partial", (0.0, 0.0))
    RunDirectory.open(tmp_path, as_lists(CONFIG), resume=False)
    assert [path.name for path in tmp_path.glob(".*")] == [".config.yaml.7.partial"]  # somebody may be at it now


@pytest.mark.parametrize("content", [b"{", b"- 1", b"\xff\xfe", b""])
def test_a_damaged_configuration_is_named(used: Path, content: bytes) -> None:
    (used / "config.yaml").write_bytes(content)
    with pytest.raises(ConfigError, match=r"config.yaml"):
        RunDirectory.open(used, as_lists(CONFIG), resume=True)


def test_a_file_is_no_directory(tmp_path: Path) -> None:
    (tmp_path / "run").write_bytes(b"")
    with pytest.raises(UsageError, match="not a directory"):
        RunDirectory.open(tmp_path / "run", as_lists(CONFIG), resume=False)


def test_other_processes_neither_look_nor_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lightning.pytorch.utilities import rank_zero_only

    monkeypatch.setattr(rank_zero_only, "rank", 1)
    RunDirectory.open(tmp_path / "run", as_lists(CONFIG), resume=False)
    assert not (tmp_path / "run").exists()
