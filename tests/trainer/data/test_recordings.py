"""What people may give as recordings: a plain folder, a manifest, a known tree; and what they are told otherwise."""

from pathlib import Path

import pytest

from edged.errors import AudioError
from trainer.data.folder import read_folder
from trainer.data.machine_clip import MachineClip
from trainer.data.manifest import read_manifest
from trainer.data.recordings import read_machine_data


def tree(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def manifest(folder: Path, text: str, *clips: str) -> Path:
    tree(folder, *clips)
    path = folder / "press.csv"
    path.write_text(text, encoding="utf-8")
    return path


def facts(clip: MachineClip) -> tuple[str, ...]:
    return (clip.machine, clip.section, clip.domain, clip.split, clip.condition, clip.attributes)


def test_clips_alone_are_normal(tmp_path: Path) -> None:
    (clip,) = read_folder(tree(tmp_path / "press", "monday.wav"))
    assert facts(clip) == ("press", "00", "source", "train", "normal", "")


@pytest.mark.parametrize("word", ["anomaly", "Anomalies", "anomalous", "ABNORMAL", "faulty"])
def test_one_machine(tmp_path: Path, word: str) -> None:
    root = tree(tmp_path / "press", "normal/a.wav", f"{word}/b.flac")
    found = {clip.path.name: facts(clip) for clip in read_folder(root)}
    assert found == {
        "a.wav": ("press", "00", "source", "train", "normal", ""),
        "b.flac": ("press", "00", "source", "test", "anomaly", ""),
    }


def test_one_folder_per_machine(tmp_path: Path) -> None:
    root = tree(tmp_path, "fan/low/normal/a.wav", "fan/low/abnormal/b.wav", "pump/c.wav", "pump/target/d.wav")
    assert [facts(clip) for clip in read_folder(root)] == [
        ("fan", "00", "source", "test", "anomaly", "low"),
        ("fan", "00", "source", "train", "normal", "low"),
        ("pump", "00", "source", "train", "normal", ""),
        ("pump", "00", "target", "train", "normal", ""),
    ]


def test_splits_of_a_plain_folder(tmp_path: Path) -> None:
    root = tree(tmp_path, "fan/train/a.wav", "fan/test/normal/b.wav", "fan/test/anomaly/c.wav", "pump/test/d.wav")
    assert [facts(clip)[3:5] for clip in read_folder(root)] == [
        ("test", "anomaly"),
        ("test", "normal"),
        ("train", "normal"),
        ("test", "unknown"),
    ]


def test_almost_a_condition_is_refused(tmp_path: Path) -> None:
    """`anormal` would have been a machine, and its faults normal training clips."""
    with pytest.raises(AudioError, match="'anormal': did you mean"):
        read_folder(tree(tmp_path, "normal/a.wav", "anormal/b.wav"))


@pytest.mark.parametrize("stray", ["broken/b.wav", "b.wav"])
def test_clips_beside_a_condition_are_refused(tmp_path: Path, stray: str) -> None:
    with pytest.raises(AudioError, match=f"not in one: {stray}"):
        read_folder(tree(tmp_path, "healthy/a.wav", stray))


def test_manifest_with_every_column(tmp_path: Path) -> None:
    path = manifest(
        tmp_path,
        "\ufeffpath,machine,section,domain,split,condition,attributes\n"
        "a.wav,fan,01,target,test,anomaly,speed 6\n"
        "sub/b.flac,,,,,,\n",
        "a.wav",
        "sub/b.flac",
    )
    first, second = read_manifest(path)
    assert facts(first) == ("fan", "01", "target", "test", "anomaly", "speed 6")
    assert facts(second) == ("press", "00", "source", "train", "normal", "")
    assert second.path == tmp_path / "sub" / "b.flac"


def test_anomalies_of_a_manifest_are_test_clips(tmp_path: Path) -> None:
    path = manifest(tmp_path, "path;condition\na.wav;anomaly\nb.wav;unknown\nc.wav;normal\n", "a.wav", "b.wav", "c.wav")
    assert [clip.split for clip in read_manifest(path)] == ["test", "test", "train"]


def test_absolute_paths_are_allowed(tmp_path: Path) -> None:
    clip = tree(tmp_path / "elsewhere", "a.wav") / "a.wav"
    assert read_manifest(manifest(tmp_path, f"path\n{clip}\n"))[0].path == clip


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("path,mashine\na.wav,fan\n", "unknown column 'mashine', did you mean 'machine'"),
        ("path,path\na.wav,a.wav\n", "column 'path' stands twice"),
        ("machine\nfan\n", "no column 'path'"),
        ("", "no column 'path'"),
        ("path\n", "lists no clips"),
        ("path,condition\na.wav,anormal\n", "line 2: condition 'anormal', did you mean"),
        ("path,split\na.wav,validation\n", "split 'validation' .one of train, test"),
        ("path\nb.wav\n", "no file 'b.wav'"),
        ("path\na.wav\na.wav\n", "line 3: 'a.wav' is listed twice"),
        (f"path\n{'a' * 300}.wav\n", "line 2: no file 'aaa"),
        ("path\na.txt\n", "'a.txt' is no .wav"),
        ("path,machine\na.wav,../../etc\n", "machine '../../etc' holds a slash or begins with a dot"),
        ("path\na.wav,fan\n", "more cells than columns .'fan'"),
        ("path,machine\n,fan\n", "line 2: no path"),
    ],
)
def test_mistakes_in_a_manifest_are_named(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(AudioError, match=said):
        read_manifest(manifest(tmp_path, text, "a.wav"))


def test_many_mistakes_are_counted(tmp_path: Path) -> None:
    rows = "".join(f"missing{k}.wav\n" for k in range(25))
    with pytest.raises(AudioError, match=r"line 2: .*missing9.* and 15 more"):
        read_manifest(manifest(tmp_path, f"path\n{rows}"))


def test_no_table_at_all(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(b"path\n\xff\xfe\x00.wav\n")
    with pytest.raises(AudioError, match="no CSV in UTF-8"):
        read_manifest(path)
    with pytest.raises(AudioError, match="No such file"):
        read_manifest(tmp_path / "absent.csv")


def test_the_entry_recognises_what_it_is_given(tmp_path: Path) -> None:
    known = tree(tmp_path / "dcase", "fan/train/section_00_source_train_normal_0000.wav")
    plain = tree(tmp_path / "plain", "normal/a.wav")
    listed = manifest(tmp_path / "listed", "path\na.wav\n", "a.wav")
    assert [read_machine_data(path)[0].machine for path in (known, plain, listed)] == ["fan", "plain", "press"]


def test_the_entry_says_what_it_tried(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"no such folder .* \(tried: a .csv manifest, a DCASE"):
        read_machine_data(tmp_path / "absent")
    (tmp_path / "empty").mkdir()
    with pytest.raises(AudioError, match=r"holds no .*tried"):
        read_machine_data(tmp_path / "empty")
