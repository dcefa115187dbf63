"""The tree reader on generated trees of every layout."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.errors import AudioError
from trainer.data.dcase import MachineClip, class_names, read_machine_tree
from trainer.data.layouts import NO_ATTRIBUTES, clip_of


def tree(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def facts(clip: MachineClip) -> tuple[str, ...]:
    return (clip.machine, clip.section, clip.domain, clip.split, clip.condition, clip.attributes)


def test_2020(tmp_path: Path) -> None:
    root = tree(tmp_path, "fan/train/normal_id_00_00000000.wav", "fan/test/anomaly_id_02_00000001.wav")
    anomalous, normal = read_machine_tree(root)
    assert facts(normal) == ("fan", "00", "source", "train", "normal", "")
    assert facts(anomalous) == ("fan", "02", "source", "test", "anomaly", "")


def test_2021_to_2023(tmp_path: Path) -> None:
    root = tree(
        tmp_path,
        "dev_data/ToyCar/train/section_00_source_train_normal_0000_car_A1_spd_28V.wav",
        "dev_data/ToyCar/test/section_00_target_test_anomaly_0003_noAttributes.wav",
        "dev_data/valve/source_test/section_01_source_test_normal_0000.wav",
    )
    target, source, valve = read_machine_tree(root)
    assert facts(source) == ("ToyCar", "00", "source", "train", "normal", "car_A1_spd_28V")
    assert facts(target) == ("ToyCar", "00", "target", "test", "anomaly", "")
    assert facts(valve) == ("valve", "01", "source", "test", "normal", "")
    assert source.label == "ToyCar/00/car_A1_spd_28V"


def test_evaluation_set_tells_nothing(tmp_path: Path) -> None:
    (clip,) = read_machine_tree(tree(tmp_path, "shaker/test/section_00_0017.wav"))
    assert facts(clip) == ("shaker", "00", "unknown", "test", "unknown", "")


def test_attribute_tables(tmp_path: Path) -> None:
    root = tree(tmp_path, "fan/train/section_00_source_train_normal_0000_m-n_W.wav")
    (root / "fan" / "attributes_00.csv").write_text(
        "file_name,d1p,d1v,d2p,d2v\nfan/train/section_00_source_train_normal_0000_m-n_W.wav,m-n,W,speed,6\n"
    )
    (clip,) = read_machine_tree(root)
    assert clip.attributes == "m-n_W_speed_6"


def test_mimii(tmp_path: Path) -> None:
    root = tree(tmp_path, "fan/id_00/normal/00000000.wav", "fan/id_00/abnormal/00000000.wav")
    abnormal, normal = read_machine_tree(root)
    assert facts(normal) == ("fan", "00", "source", "train", "normal", "")
    assert facts(abnormal) == ("fan", "00", "source", "test", "anomaly", "")


def test_mimii_with_one_folder_per_machine(tmp_path: Path) -> None:
    (clip,) = read_machine_tree(tree(tmp_path, "slider_id_04/normal/00000000.flac"))
    assert facts(clip) == ("slider", "04", "source", "train", "normal", "")


def test_classes_come_from_normal_training_clips(tmp_path: Path) -> None:
    root = tree(
        tmp_path,
        "fan/train/section_00_source_train_normal_0000_A.wav",
        "fan/train/section_00_source_train_normal_0001_A.wav",
        "fan/train/section_00_target_train_normal_0002_B.wav",
        "fan/test/section_00_target_test_anomaly_0000_C.wav",
    )
    assert class_names(read_machine_tree(root)) == ["fan/00/A", "fan/00/B"]


def test_clear_errors(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="no such directory"):
        read_machine_tree(tmp_path / "absent")
    with pytest.raises(AudioError, match="holds no"):
        read_machine_tree(tmp_path)
    tree(tmp_path, "fan/train/song.wav", "fan/train/normal_id_00_00000000.wav")
    with pytest.raises(AudioError, match=r"1 names fit no .*fan/train/song\.wav"):
        read_machine_tree(tmp_path)


def test_table_without_file_names(tmp_path: Path) -> None:
    root = tree(tmp_path, "fan/train/normal_id_00_00000000.wav")
    (root / "fan" / "attributes_00.csv").write_text("name,d1p\nx,y\n")
    with pytest.raises(AudioError, match="file_name"):
        read_machine_tree(root)


def test_attributes_may_be_withheld(tmp_path: Path) -> None:
    """2024: the class of such a machine is its section; the name's word is singular, which an early reader missed."""
    root = tree(tmp_path, "slider/train/section_00_source_train_normal_0000_noAttribute.wav")
    (root / "slider" / "attributes_00.csv").write_text("file_name\nsection_00_source_train_normal_0000_noAttribute\n")
    (clip,) = read_machine_tree(root)
    assert (clip.attributes, clip.label) == ("", "slider/00")


def test_2025_supplements_are_no_training_clips(tmp_path: Path) -> None:
    root = tree(
        tmp_path,
        "dev_data/raw/bearing/train/section_00_source_train_normal_0000_vel_6.wav",
        "dev_data/raw/bearing/supplemental/section_00_machine_source_0001_noAttribute.wav",
        "dev_data/raw/fan/supplemental/section_00_noise_0001.wav",
        "eval_data/raw/AutoTrash/test/section_00_0000.wav",
    )
    clean, train, noise, evaluation = read_machine_tree(root)
    assert facts(train) == ("bearing", "00", "source", "train", "normal", "vel_6")
    assert facts(clean) == ("bearing", "00", "source", "supplemental", "normal", "")
    assert facts(noise) == ("fan", "00", "unknown", "supplemental", "unknown", "")
    assert facts(evaluation) == ("AutoTrash", "00", "unknown", "test", "unknown", "")
    assert class_names([clean, train, noise, evaluation]) == ["bearing/00/vel_6"]


def test_evaluation_sets_of_2020_and_2021(tmp_path: Path) -> None:
    root = tree(tmp_path, "fan/test/id_01_00000000.wav", "fan/source_test/section_03_source_test_0007.wav")
    later, earlier = read_machine_tree(root)
    assert facts(earlier) == ("fan", "01", "source", "test", "unknown", "")
    assert facts(later) == ("fan", "03", "source", "test", "unknown", "")


def test_the_organisers_list_tells_evaluation_labels(tmp_path: Path) -> None:
    names = ["fan/test/section_00_0000.wav", "fan/test/section_00_0001.wav", "Polisher/test/section_00_0000.wav"]
    root = tree(tmp_path, *names)
    (root / "eval_data_list_2025.csv").write_text(
        "Polisher\nsection_00_0000.wav,section_00_target_test_normal_0031_id_C1.wav\n"
        "fan\nsection_00_0000.wav,section_00_source_test_anomaly_0012_n_B.wav\n"
    )
    polisher, fan, untold = read_machine_tree(root)
    assert facts(polisher) == ("Polisher", "00", "target", "test", "normal", "id_C1")
    assert facts(fan) == ("fan", "00", "source", "test", "anomaly", "n_B")
    assert facts(untold) == ("fan", "00", "unknown", "test", "unknown", "")


def test_tables_of_two_years_do_not_mix(tmp_path: Path) -> None:
    """Tables were looked up by machine alone: the later year's attributes fell upon the earlier year's clips."""
    name = "section_00_source_train_normal_0000"
    root = tree(tmp_path, f"2022/fan/train/{name}.wav", f"2023/fan/train/{name}.wav")
    for year in ("2022", "2023"):
        (root / year / "fan" / "attributes_00.csv").write_text(f"file_name,d1p,d1v\n{name}.wav,year,{year}\n")
    assert [clip.attributes for clip in read_machine_tree(root)] == ["year_2022", "year_2023"]


def test_mimii_noise_levels_are_sections(tmp_path: Path) -> None:
    root = tree(tmp_path, "-6_dB_fan/fan/id_00/normal/00000000.wav", "6_dB_fan/fan/id_00/normal/00000000.wav")
    assert [clip.label for clip in read_machine_tree(root)] == ["fan/00_-6_dB", "fan/00_6_dB"]


def test_toyadmos(tmp_path: Path) -> None:
    root = tree(
        tmp_path,
        "ToyCar/case1/AnomalousSound_IND/1101010001_ToyCar_case1_ab01_IND_ch1_0001.wav",
        "ToyCar/case1/NormalSound_CNT/1100110001_ToyCar_case1_normal_CNT_ch2_0001.wav",
        "ToyCar/EnvironmentalNoise_CNT/N1_ToyCar_caseAll_ch1_0001.wav",
    )
    noise, anomalous, normal = read_machine_tree(root)
    assert facts(anomalous) == ("ToyCar", "01_ch1", "source", "test", "anomaly", "IND")
    assert facts(normal) == ("ToyCar", "01_ch2", "source", "train", "normal", "CNT")
    assert facts(noise) == ("ToyCar", "00", "source", "supplemental", "unknown", "")


def test_folders_of_conditions_are_no_machines(tmp_path: Path) -> None:
    """`fan/anomaly/anomaly_id_06_...` was a training clip of a machine called anomaly."""
    root = tree(tmp_path, "fan/anomaly/anomaly_id_06_00000002.flac", "fan/normal/normal_id_06_00000012.flac")
    anomalous, normal = read_machine_tree(root)
    assert facts(anomalous) == ("fan", "06", "source", "test", "anomaly", "")
    assert facts(normal) == ("fan", "06", "source", "train", "normal", "")


def test_the_folder_of_one_machine_gives_its_name(tmp_path: Path) -> None:
    tree(tmp_path, "valve/train/normal_id_00_00000000.wav")
    assert read_machine_tree(tmp_path / "valve")[0].machine == "valve"


def test_hidden_files_are_no_recordings(tmp_path: Path) -> None:
    """Archives made on macOS hold a ``._`` file beside every recording."""
    root = tree(tmp_path, "fan/train/normal_id_00_00000000.wav", "fan/train/._normal_id_00_00000000.wav")
    assert len(read_machine_tree(root)) == 1


@given(
    section=st.integers(0, 99),
    domain=st.sampled_from(["source", "target"]),
    split=st.sampled_from(["train", "test"]),
    condition=st.sampled_from(["normal", "anomaly"]),
    number=st.integers(0, 9999),
    attributes=st.from_regex(r"[A-Za-z0-9.\-]+(_[A-Za-z0-9.\-]+){0,5}", fullmatch=True),
)
def test_names_of_2021_and_later_round_trip(
    section: int, domain: str, split: str, condition: str, number: int, attributes: str
) -> None:
    stem = f"section_{section:02d}_{domain}_{split}_{condition}_{number:04d}_{attributes}"
    clip = clip_of(Path(f"{stem}.wav"), ("dev_data", "gearbox", split))
    expected = "" if attributes in NO_ATTRIBUTES else attributes
    assert clip is not None
    assert facts(clip) == ("gearbox", f"{section:02d}", domain, split, condition, expected)


@given(stem=st.text(st.characters(codec="ascii", exclude_characters="/\0"), min_size=1, max_size=60))
def test_no_name_breaks_the_parser(stem: str) -> None:
    clip = clip_of(Path("x") / f"{stem}.wav", ("root", "fan", "train"))
    assert clip is None or (clip.machine == "fan" and len(clip.section) == 2)
