"""What the file names of public machine data sets say.

    2020      <machine>/<train|test>/<normal|anomaly>_id_<NN>_<number>
    2021+     <machine>/<split>/section_<NN>_<source|target>_<train|test>_<normal|anomaly>_<number>[_<attributes>]
    eval      <machine>/test/id_<NN>_<number> (2020), section_<NN>[_<source|target>_test]_<number>
    2025      <machine>/supplemental/section_<NN>_<what>_<number>[_<attributes>]      clean machines, or noise alone
    MIMII     [<SNR>_dB_<machine>/]<machine>/id_<NN>/<normal|abnormal>/<number>, also <machine>_id_<NN> in one
    ToyADMOS  <machine>/case<N>/<kind>/<number>_<machine>_case<N>_<normal|ab..>_<IND|CNT>_ch<N>_<number>

In `eval` the condition is not told. Attributes of 2024 and later may be withheld: ``noAttribute``.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from trainer.data.machine_clip import Condition, Domain, MachineClip, Split

NO_ATTRIBUTES = frozenset({"", "noAttribute", "noAttributes"})

_YEAR_2020 = re.compile(r"(?:(?P<condition>normal|anomaly)_)?id_(?P<section>\d\d)_\d+")
_YEAR_2021 = re.compile(
    r"section_(?P<section>\d\d)_(?P<domain>source|target)_(?P<split>train|test)_(?P<condition>normal|anomaly)_\d+"
    r"(?:_(?P<attributes>.*))?"
)
_EVALUATION = re.compile(r"section_(?P<section>\d\d)_(?:(?:(?P<domain>source|target)_)?test_)?\d+")
_SUPPLEMENTAL = re.compile(r"section_(?P<section>\d\d)_(?P<what>[^\d]+)_\d+(?:_(?P<attributes>.*))?")
_TOYADMOS = re.compile(
    r"[A-Za-z0-9]+_(?P<machine>[A-Za-z0-9]+)_case(?P<case>\d+)_(?P<condition>normal|ab\w*?)_(?P<kind>IND|CNT)"
    r"_(?P<channel>ch\d+)_\d+"
)
_MIMII_SECTION = re.compile(r"(?:(?P<machine>.+)_)?id_(?P<section>\d\d)")
_MIMII_NOISE = re.compile(r"(?P<snr>-?\d+_dB)(?:_.+)?")
_STRUCTURE = re.compile(
    r"(?:source_|target_)?(?:train|test)(?:_r\d+|_rename)?|dev_data|eval_data|raw|supplemental|normal|anomaly|abnormal"
)


def clip_of(path: Path, folders: tuple[str, ...]) -> MachineClip | None:
    """What a name and its folders say, or None when they fit no layout.

    Args:
        path: the file.
        folders: names of the folders it lies in, from the tree's root (included) downwards.
    """
    stem = path.stem
    if "supplemental" in folders or "_supplemental_" in stem:
        return _supplemental(path, folders)
    if match := _YEAR_2021.fullmatch(stem):
        return _year_2021(path, folders, match)
    if match := _YEAR_2020.fullmatch(stem):
        return _year_2020(path, folders, match)
    if match := _EVALUATION.fullmatch(stem):
        return MachineClip(path, _machine(folders), match["section"], _domain(match["domain"]), "test", "unknown")
    return _toyadmos(path, folders) or _mimii(path, folders)


def with_truth(clip: MachineClip, true_stem: str) -> MachineClip:
    """An evaluation clip with what its published true name says; unchanged when that name fits no layout."""
    if match := _YEAR_2021.fullmatch(true_stem):
        known = _year_2021(clip.path, (clip.machine,), match)
        return replace(clip, domain=known.domain, condition=known.condition, attributes=known.attributes)
    if (match := _YEAR_2020.fullmatch(true_stem)) and match["condition"]:
        return replace(clip, domain="source", condition=_condition(match["condition"]))
    return clip


def _year_2021(path: Path, folders: tuple[str, ...], match: re.Match[str]) -> MachineClip:
    split: Split = "train" if match["split"] == "train" else "test"
    attributes, condition = _attributes(match["attributes"]), _condition(match["condition"])
    return MachineClip(
        path, _machine(folders), match["section"], _domain(match["domain"]), split, condition, attributes
    )


def _year_2020(path: Path, folders: tuple[str, ...], match: re.Match[str]) -> MachineClip:
    condition = _condition(match["condition"])
    split: Split = "test" if "test" in folders or condition != "normal" else "train"
    return MachineClip(path, _machine(folders), match["section"], "source", split, condition)


def _supplemental(path: Path, folders: tuple[str, ...]) -> MachineClip | None:
    match = _SUPPLEMENTAL.fullmatch(path.stem)
    if match is None:
        return None
    words = match["what"].split("_")
    domain = next((word for word in words if word in {"source", "target"}), None)
    condition: Condition = "unknown" if "noise" in words else "normal"
    attributes = _attributes(match["attributes"])
    return MachineClip(
        path, _machine(folders), match["section"], _domain(domain), "supplemental", condition, attributes
    )


def _mimii(path: Path, folders: tuple[str, ...]) -> MachineClip | None:
    if len(folders) < 2 or folders[-1] not in {"normal", "abnormal"}:
        return None
    match = _MIMII_SECTION.fullmatch(folders[-2])
    if match is None:
        return None
    machine = match["machine"] or _machine(folders[:-2])
    noises = [found["snr"] for name in folders if (found := _MIMII_NOISE.fullmatch(name))]
    split: Split = "train" if folders[-1] == "normal" else "test"
    condition: Condition = "normal" if folders[-1] == "normal" else "anomaly"
    section = "_".join([match["section"], *noises[-1:]])  # one machine's sound, mixed with more or less noise
    return MachineClip(path, machine, section, "source", split, condition)


def _toyadmos(path: Path, folders: tuple[str, ...]) -> MachineClip | None:
    if "EnvironmentalNoise_CNT" in folders:
        above = folders[: folders.index("EnvironmentalNoise_CNT")]
        return MachineClip(path, _machine(above), "00", "source", "supplemental", "unknown")
    match = _TOYADMOS.fullmatch(path.stem)
    if match is None:
        return None
    normal = match["condition"] == "normal"
    split: Split = "train" if normal else "test"
    section = f"{match['case'].zfill(2)}_{match['channel']}"  # of one recording, by several microphones
    condition: Condition = "normal" if normal else "anomaly"
    return MachineClip(path, match["machine"], section, "source", split, condition, match["kind"])


def _machine(folders: tuple[str, ...]) -> str:
    """The last folder that names neither a split nor a condition."""
    names = [name for name in folders if not _STRUCTURE.fullmatch(name)]
    return names[-1] if names else "machine"


def _domain(word: str | None) -> Domain:
    return "source" if word == "source" else "target" if word == "target" else "unknown"


def _condition(word: str | None) -> Condition:
    return "normal" if word == "normal" else "anomaly" if word == "anomaly" else "unknown"


def _attributes(text: str | None) -> str:
    return "" if text is None or text in NO_ATTRIBUTES else text
