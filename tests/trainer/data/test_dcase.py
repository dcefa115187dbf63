"""The tree reader on generated trees of every layout."""

from pathlib import Path

import pytest

from edged.errors import AudioError
from trainer.data.dcase import MachineClip, class_names, read_machine_tree


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
