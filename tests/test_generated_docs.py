"""Generated documents are what the models say now, and the example is a configuration."""

from itertools import takewhile
from pathlib import Path

import pytest
import yaml

from edged import docs
from edged.configfile import load_config, parse_config

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("path", docs.documents())
def test_no_document_is_stale(path):
    assert (ROOT / path).read_text("utf-8") == docs.documents()[path], "run: python -m edged.docs"


def test_check_names_what_is_stale(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "deploy").mkdir()
    assert docs.main(["--check"]) == 1
    assert "deploy/CONFIG.md is stale; run: python -m edged.docs" in capsys.readouterr().err
    assert docs.main([]) == 0
    assert docs.main(["--check"]) == 0


def test_example_is_a_configuration_with_every_default():
    config = load_config(ROOT / docs.EXAMPLE_PATH)
    defaults = parse_config({}, "defaults")
    assert config.capture == defaults.capture
    assert config.events == defaults.events
    assert set(config.streams) == {"press-3"}


def test_commented_choices_of_the_example_are_a_configuration_too():
    lines = (ROOT / docs.EXAMPLE_PATH).read_text("utf-8").splitlines()
    block = takewhile(lambda line: line.startswith("  # "), lines[lines.index("  # recording:") :])
    devices = yaml.safe_load("\n".join(line.removeprefix("  # ") for line in block))
    config = parse_config({"devices": devices}, "commented")
    assert {settings.source for settings in config.devices.values()} == {"file", "pcm"}


def test_every_setting_but_the_discriminator_has_a_sentence():
    rows = [line for line in docs.reference_markdown().splitlines() if line.startswith("| `")]
    silent = [row for row in rows if row.split("|")[-2].strip() == "" and "`source`" not in row]
    assert silent == []
