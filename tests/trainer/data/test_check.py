"""Every kind of trouble is found in generated recordings, and sound ones are left in peace."""

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from sklearn.metrics import roc_auc_score

from trainer.data.check import check_data, usable
from trainer.data.check_classes import set_findings
from trainer.data.check_files import FileFacts, file_facts
from trainer.data.check_leaks import NEAR_DB, near_pairs
from trainer.data.check_level import level_auc
from trainer.data.check_report import Finding, Report
from trainer.data.machine_clip import MachineClip

RATE_HZ = 16_000
SECONDS = 2.0


def noise(seed: int, seconds: float = SECONDS, rate_hz: int = RATE_HZ, level: float = 0.05) -> np.ndarray:
    return level * np.random.default_rng(seed).standard_normal(int(seconds * rate_hz))


def clip_at(path: Path, samples: np.ndarray, *, rate_hz: int = RATE_HZ, subtype: str | None = None) -> MachineClip:
    """A recording written to disk; its name says what it is: <split>-<condition>-<domain>-<machine>-<number>."""
    sf.write(path, samples, rate_hz, subtype=subtype)
    split, condition, domain, machine, _ = path.stem.split("-")
    return MachineClip(path, machine, "00", domain, split, condition)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> list[MachineClip]:
    """Recordings that no test changes."""
    return healthy_set(tmp_path_factory.mktemp("healthy"))


def healthy_set(folder: Path) -> list[MachineClip]:
    """Two machines in two domains, two clips each, with tests: nothing to complain about."""
    names = [
        f"{split}-{condition}-{domain}-{machine}-{number}.wav"
        for split, condition in (("train", "normal"), ("test", "normal"), ("test", "anomaly"))
        for domain in ("source", "target")
        for machine in ("fan", "pump")
        for number in range(2)
    ]
    return [clip_at(folder / name, noise(seed)) for seed, name in enumerate(names)]


def found(report: Report | Sequence[Finding]) -> dict[str, Finding]:
    findings = report.findings if isinstance(report, Report) else report
    assert len({finding.code for finding in findings}) == len(findings)
    return {finding.code: finding for finding in findings}


def test_sound_recordings_are_left_in_peace(healthy: list[MachineClip]) -> None:
    report = check_data(healthy)
    assert report.findings == ()
    assert not report.has_errors
    assert (report.n_clips, report.classes) == (24, 2)
    assert report.hours == pytest.approx(24 * SECONDS / 3600)
    assert report.formats == {"16000 Hz, 1 channel": 24}
    fan, _ = report.sections
    assert (fan.machine, fan.train_source, fan.train_target, fan.test_normal, fan.test_anomaly) == ("fan", 2, 2, 4, 4)
    assert (fan.shortest_s, fan.median_s, fan.longest_s) == (2.0, 2.0, 2.0)


def damaged(folder: Path, kind: str) -> MachineClip:
    path = folder / "train-normal-source-fan-9.wav"
    if kind == "flac":
        path = path.with_suffix(".flac")
    clip = clip_at(path, noise(99))
    content = path.read_bytes()
    cut = {"empty": b"", "text": b"hello", "truncated": content[:20_000], "flac": content[: len(content) // 2]}
    path.write_bytes(cut[kind])
    return clip


@pytest.mark.parametrize("kind", ["empty", "text", "truncated", "flac"])
def test_unreadable_files(healthy: list[MachineClip], tmp_path: Path, kind: str) -> None:
    good = healthy
    bad = damaged(tmp_path, kind)
    report = check_data([*good, bad])
    finding = found(report)["unreadable"]
    assert (finding.severity, finding.paths) == ("error", (bad.path,))
    assert report.has_errors
    assert str(bad.path) not in finding.details[0]
    assert usable([*good, bad])[0] == good


def test_missing_files_are_unreadable(healthy: list[MachineClip], tmp_path: Path) -> None:
    good = healthy
    gone = replace(good[0], path=tmp_path / "gone.wav")
    assert found(check_data([*good, gone]))["unreadable"].paths == (gone.path,)


def spoilt(kind: str) -> np.ndarray:
    samples = noise(77)
    if kind == "not-numbers":
        samples[5] = np.nan
        samples[6] = np.inf
    return {
        "not-numbers": samples,
        "silent": 1e-6 * samples,
        "quiet": 0.006 * samples,
        "clipped": np.clip(30.0 * samples, -1.0, 1.0),
        "offset": samples + 0.1,
        "short": samples[:8000],
    }[kind]


@pytest.mark.parametrize(
    ("kind", "severity", "detail"),
    [
        ("not-numbers", "error", "2 samples"),
        ("silent", "error", "-146 dBFS"),
        ("quiet", "note", "-70 dBFS"),
        ("clipped", "warning", " %"),
        ("offset", "note", "+0.100"),
        ("short", "warning", "0.50 s"),
    ],
)
def test_spoilt_sound(healthy: list[MachineClip], tmp_path: Path, kind: str, severity: str, detail: str) -> None:
    good = healthy
    bad = clip_at(tmp_path / "train-normal-source-fan-9.wav", spoilt(kind), subtype="FLOAT")
    findings = found(check_data([*good, bad]))
    assert set(findings) == {kind}
    assert (findings[kind].severity, findings[kind].paths) == (severity, (bad.path,))
    assert detail in findings[kind].details[0]
    kept, told = usable([*good, bad])
    spoils = kind in {"not-numbers", "silent"}
    assert (bad in kept, [finding.code for finding in told]) == (not spoils, [kind] if spoils else [])


def test_a_microphone_with_an_offset_alone_is_silent(healthy: list[MachineClip], tmp_path: Path) -> None:
    """The RMS of a constant is not zero, but it is no sound."""
    clip = clip_at(tmp_path / "train-normal-source-fan-9.wav", np.full(32_000, 0.1))
    assert {"silent", "offset"} <= set(found(check_data([*healthy, clip])))


def test_facts_do_not_depend_on_the_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.wav"
    sf.write(path, noise(1, 7.03, 22_050)[:, np.newaxis] * [1.0, 0.5], 22_050)
    whole = file_facts(path)
    monkeypatch.setattr("trainer.data.audio_file._BLOCK_SAMPLES", 10_000)
    pieces = file_facts(path)
    assert (pieces.digest, pieces.n_frames, pieces.peak) == (whole.digest, whole.n_frames, whole.peak)
    np.testing.assert_allclose(pieces.envelope, whole.envelope, atol=1e-5)
    samples = sf.read(path)[0][:, 0]
    assert whole.rms == pytest.approx(samples.std())
    assert whole.offset == pytest.approx(samples.mean(), abs=1e-9)
    assert (whole.channels, whole.duration_s, len(whole.envelope)) == (2, pytest.approx(7.03, abs=1e-4), 64)


def test_other_rates_are_noted(healthy: list[MachineClip], tmp_path: Path) -> None:
    good = healthy
    high = clip_at(tmp_path / "train-normal-source-fan-8.wav", noise(50, 2.0, 48_000), rate_hz=48_000)
    low = clip_at(tmp_path / "train-normal-source-fan-9.wav", noise(51, 2.0, 8_000), rate_hz=8_000)
    findings = found(check_data([*good, high]))
    assert (findings["format"].severity, findings["format"].details) == ("note", ("48000 Hz, 1 channel",))
    assert found(check_data([*good, low]))["low-rate"].paths == (low.path,)


COPIES = {
    "contradiction": ("train-normal-source-fan-9", "test-anomaly-source-fan-9", "error"),
    "leak": ("train-normal-source-fan-9", "test-normal-source-fan-9", "error"),
    "two-classes": ("train-normal-source-fan-9", "train-normal-source-pump-9", "warning"),
    "duplicate": ("train-normal-source-fan-8", "train-normal-source-fan-9", "warning"),
}


@pytest.mark.parametrize("code", COPIES)
def test_equal_recordings(healthy: list[MachineClip], tmp_path: Path, code: str) -> None:
    first, second, severity = COPIES[code]
    samples = (32767 * noise(60)).astype(np.int16)
    pair = [clip_at(tmp_path / f"{first}.wav", samples), clip_at(tmp_path / f"{second}.flac", samples)]
    findings = found(check_data([*healthy, *pair]))
    assert set(findings) == {code}
    assert findings[code].severity == severity
    assert findings[code].paths == tuple(clip.path for clip in pair)
    assert findings[code].details == ("", f"= {pair[0].path}")


@pytest.mark.parametrize(
    ("second", "code"), [("test-normal-source-fan-9", "near-leak"), ("train-normal-source-fan-9", "near-duplicate")]
)
def test_copies_at_another_level(healthy: list[MachineClip], tmp_path: Path, second: str, code: str) -> None:
    samples = noise(61)
    pair = [
        clip_at(tmp_path / "train-normal-source-fan-8.wav", samples),
        clip_at(tmp_path / f"{second}.wav", 0.25 * samples, subtype="PCM_24"),
    ]
    findings = found(check_data([*healthy, *pair]))
    assert set(findings) == {code}
    assert findings[code].paths == tuple(clip.path for clip in pair)


def test_near_pairs_are_those_of_all_comparisons() -> None:
    rng = np.random.default_rng(3)
    rows = rng.standard_normal((1100, 64)).astype(np.float32)
    rows[1050] = rows[3] + np.float32(0.9 * NEAR_DB)
    rows[7] = rows[8] + np.float32(1.1 * NEAR_DB)
    rows[9] = 0.0
    rows[10] = 0.001
    short = [np.zeros(5, np.float32)] * 2
    differences = [np.sqrt(np.mean((rows[i] - rows[i + 1 :]) ** 2, axis=1)) for i in range(1100)]
    expected = {
        (i, j)
        for i in range(1100)
        for j in range(i + 1, 1100)
        if differences[i][j - i - 1] < NEAR_DB and rows[i].std() > NEAR_DB
    }
    assert set(near_pairs([*rows, *short])) == expected == {(3, 1050)}


def test_too_many_recordings_to_compare_are_said(healthy: list[MachineClip], monkeypatch: pytest.MonkeyPatch) -> None:
    """Regression: beyond 30,000 of one length, copies went unnoticed without a word."""
    monkeypatch.setattr("trainer.data.check_leaks.MAX_COMPARED", 23)
    finding = found(check_data(healthy))["not-compared"]
    assert (finding.severity, finding.message.split()[0]) == ("note", "24")


def test_silence_is_not_a_copy(healthy: list[MachineClip], tmp_path: Path) -> None:
    pair = [clip_at(tmp_path / f"{split}-normal-source-fan-9.wav", np.zeros(32_000)) for split in ("train", "test")]
    assert set(found(check_data([*healthy, *pair]))) == {"silent"}


@pytest.mark.parametrize("gain", [3.0, 0.3])
def test_loudness_that_gives_the_label_away(tmp_path: Path, gain: float) -> None:
    clips = healthy_set(tmp_path)
    for clip in clips:
        if clip.condition == "anomaly" and clip.machine == "fan":
            sf.write(clip.path, gain * sf.read(clip.path)[0], RATE_HZ)
    finding = found(check_data(clips))["level"]
    assert finding.severity == "warning"
    assert f"fan/00 {1.0 if gain > 1 else 0.0:.2f}" in finding.message
    assert "pump" not in finding.message


def test_loudness_is_compared_with_training_where_the_test_has_no_normal_clips(tmp_path: Path) -> None:
    clips = [clip for clip in healthy_set(tmp_path) if (clip.split, clip.condition) != ("test", "normal")]
    for clip in clips:
        if clip.condition == "anomaly":
            sf.write(clip.path, 2.0 * sf.read(clip.path)[0], RATE_HZ)
    assert "fan/00 1.00, pump/00 1.00" in found(check_data(clips))["level"].message


def test_level_auc_is_that_of_sklearn() -> None:
    rng = np.random.default_rng(0)
    normal, anomalous = rng.normal(0, 1, 30).round(1), rng.normal(0.5, 1, 20).round(1)
    auc, deviations = level_auc(list(normal), list(anomalous))
    expected = roc_auc_score([0] * 30 + [1] * 20, [*normal, *anomalous])
    assert auc == pytest.approx(expected)
    assert deviations == pytest.approx(abs(expected - 0.5) / np.sqrt(51 / (12 * 30 * 20)))


def clips(*rows: tuple[str, str, str, str], copies: int = 2) -> list[MachineClip]:
    """Clips without files: machine, domain, split, condition."""
    return [
        MachineClip(Path(f"{'-'.join(row)}-{k}.wav"), row[0], "00", row[1], row[2], row[3])  # type: ignore[arg-type]
        for row in rows
        for k in range(copies)
    ]


TRAIN = [("fan", "source", "train", "normal"), ("pump", "source", "train", "normal")]
TEST = [(machine, "source", "test", condition) for machine in ("fan", "pump") for condition in ("normal", "anomaly")]


@pytest.mark.parametrize(
    ("made", "code", "severity", "said"),
    [
        (clips(*TEST), "no-training", "error", "no normal training clips"),
        (clips(*TRAIN), "no-test", "note", "no test clips"),
        (clips(*TRAIN[:1], *TEST[:2]), "one-class", "note", "single class, fan/00"),
        ([*clips(*TRAIN[:1], *TEST), *clips(TRAIN[1], copies=1)], "lonely-class", "warning", "1 class .*pump/00"),
        ([*clips(*TRAIN, *TEST), *clips(TRAIN[0], copies=60)], "imbalance", "note", "62 clips of fan/00, 2 of pump"),
        (clips(*TRAIN, *TEST[:3]), "no-test-anomaly", "warning", "1 section has no anomaly test clips: pump/00"),
        (clips(*TRAIN, *TEST[1:]), "no-test-normal", "warning", "no normal test clips: fan/00"),
        (clips(*TRAIN, ("fan", "unknown", "test", "unknown")), "untold", "note", "not labelled"),
        (clips(*TRAIN, *TEST[:2], ("pump", "unknown", "test", "unknown")), "untold", "note", "not labelled: pump/00"),
        (clips(*TRAIN, *TEST, ("fan", "source", "train", "anomaly")), "unused", "warning", "2 clips are .* not normal"),
        (clips(TRAIN[0], *TEST), "untrained-section", "warning", "no normal training clips: pump/00"),
        (
            clips(*TRAIN, *TEST, ("fan", "target", "train", "normal")),
            "no-train-target",
            "warning",
            "no train clips of the target domain: pump/00",
        ),
        (
            clips(*TRAIN, *TEST, ("fan", "target", "train", "normal")),
            "no-test-target",
            "warning",
            "no test clips of the target domain: fan/00, pump/00",
        ),
    ],
)
def test_what_a_set_lacks(made: list[MachineClip], code: str, severity: str, said: str) -> None:
    finding = found(set_findings(made))[code]
    assert finding.severity == severity
    assert re.search(said, finding.message), finding.message


def test_a_set_of_one_domain_lacks_nothing() -> None:
    assert set_findings(clips(*TRAIN, *TEST)) == []


def test_sections_without_labels_lack_nothing_else() -> None:
    """Clips that nobody has labelled may be of both kinds."""
    made = clips(*TRAIN, *TEST[:2], ("pump", "unknown", "test", "unknown"))
    assert set(found(set_findings(made))) == {"untold"}


def test_many_sections_are_counted() -> None:
    made = clips(*((f"m{k:02d}", "source", "train", "normal") for k in range(12)), *TEST)
    assert "m00/00" in found(set_findings(made))["no-test-normal"].message
    assert "m07/00 and 4 more" in found(set_findings(made))["no-test-normal"].message


def test_the_report_is_plain_json(healthy: list[MachineClip], tmp_path: Path) -> None:
    report = check_data([*healthy, damaged(tmp_path, "text")])
    read = json.loads(json.dumps(report.as_json()))
    assert read["findings"][0]["code"] == "unreadable"
    assert read["findings"][0]["paths"] == [str(tmp_path / "train-normal-source-fan-9.wav")]
    assert read["sections"][0]["machine"] == "fan"


def test_the_gravest_come_first(healthy: list[MachineClip], tmp_path: Path) -> None:
    quiet = clip_at(tmp_path / "train-normal-source-fan-8.wav", spoilt("quiet"), subtype="FLOAT")
    report = check_data([quiet, *healthy, damaged(tmp_path, "text")])
    assert [finding.severity for finding in report.findings] == ["error", "note"]


def test_levels_of_silence_are_finite(tmp_path: Path) -> None:
    facts: FileFacts = file_facts(clip_at(tmp_path / "train-normal-source-fan-9.wav", np.zeros(16_000)).path)
    assert facts.level_dbfs == -200.0


def test_no_clips_at_all() -> None:
    assert check_data([]).has_errors
    assert usable([]) == ([], ())
