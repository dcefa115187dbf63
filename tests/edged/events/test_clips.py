"""Saved audio: always whole under its name, bounded in size and age, and never found outside its folder."""

import errno
import os
import shutil

import numpy as np
import pytest
import soundfile

from edged.config import ClipsSettings
from edged.events.clips import CLIPS_DIR_NAME, ClipFolder, ClipOrigin, clip_origin, clip_path, event_clip
from edged.events.journal import Journal
from edged.events.schema import AnomalyEvent, BundleRef

ORIGIN = ClipOrigin("press", "anomaly", "b1", 0, 1600)
SOUND = (np.random.default_rng(0).integers(-3000, 3000, 16000) / 32768).astype(np.float32)


def folder(tmp_path, **settings):
    return ClipFolder(tmp_path, ClipsSettings(keep_free_mib=0, **settings))


def journalled(tmp_path, clip):
    event = AnomalyEvent(
        kind="onset", boot="b1", time="t", stream="press", sample_start=0, sample_end=1, onset_s=0.0, score=2.0,
        threshold=1.0, bundle=BundleRef(id="a", digest="d"), bank=1, clip=clip, seq=7, id="b1-7",
    )  # fmt: skip
    journal = Journal(tmp_path, 100)
    journal.append([(event, 0)])
    journal.close()


@pytest.mark.parametrize("name", ["press/a.flac", "press/a.wav"])
def test_a_clip_holds_the_16_bit_samples_and_says_where_they_were_heard(tmp_path, name):
    folder(tmp_path).write(name, SOUND, ORIGIN)
    path = clip_path(tmp_path, name)
    samples, rate_hz = soundfile.read(path, dtype="float32")
    np.testing.assert_array_equal(samples, SOUND)
    assert (rate_hz, soundfile.info(path).subtype, clip_origin(path)) == (16000, "PCM_16", ORIGIN)
    assert path.stat().st_mode & 0o007 == 0


def test_the_journal_leads_to_the_clip(tmp_path):
    journalled(tmp_path, "press/a.flac")
    assert event_clip(tmp_path, "b1-7") is None
    folder(tmp_path).write("press/a.flac", SOUND, ORIGIN)
    assert event_clip(tmp_path, "b1-7") == tmp_path / CLIPS_DIR_NAME / "press/a.flac"
    for unknown in ("b1-8", "b2-7", "", "7", "b1-" + "9" * 40):
        assert event_clip(tmp_path, unknown) is None


@pytest.mark.parametrize(
    "name", ["../secret.wav", "/etc/x.wav", "press/../../secret.wav", "press/.a.wav", "press/a.sh", "a.wav", 7, None]
)
def test_a_journal_that_lies_leads_nowhere(tmp_path, name):
    (tmp_path / CLIPS_DIR_NAME / "press").mkdir(parents=True)
    soundfile.write(tmp_path / "secret.wav", SOUND, 16000)
    assert clip_path(tmp_path, name) is None


def test_links_lead_nowhere(tmp_path):
    (tmp_path / CLIPS_DIR_NAME / "press").mkdir(parents=True)
    soundfile.write(tmp_path / "secret.wav", SOUND, 16000)
    (tmp_path / CLIPS_DIR_NAME / "press/a.wav").symlink_to(tmp_path / "secret.wav")
    (tmp_path / CLIPS_DIR_NAME / "other").symlink_to(tmp_path)
    assert clip_path(tmp_path, "press/a.wav") is None
    assert clip_path(tmp_path, "other/secret.wav") is None


def test_the_oldest_make_room_and_what_is_too_old_goes(tmp_path):
    noise = np.random.default_rng(1).integers(-32768, 32767, 150_000).astype(np.float32) / 32768
    kept = folder(tmp_path, max_total_mib=1, format="wav", max_age_days=1)
    for number in range(5):
        kept.write(f"press/{number}.wav", noise, ORIGIN)  # 300 kB each
        os.utime(clip_path(tmp_path, f"press/{number}.wav"), (2e9 + number, 2e9 + number))
    assert [clip_path(tmp_path, f"press/{n}.wav") is not None for n in range(5)] == [False, False, True, True, True]
    os.utime(clip_path(tmp_path, "press/4.wav"), (0, 0))
    kept.remove_excess()
    assert [clip_path(tmp_path, f"press/{n}.wav") is not None for n in range(5)] == [False, False, True, True, False]


def test_a_disk_that_refuses_leaves_nothing_half_written(tmp_path, monkeypatch):
    def full(_descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        folder(tmp_path).write("press/a.wav", SOUND, ORIGIN)
    assert list((tmp_path / CLIPS_DIR_NAME / "press").iterdir()) == []


def test_the_last_free_space_is_not_for_clips(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(2 << 30, 2 << 30, 150 << 20))
    with pytest.raises(OSError, match="less than 200 MiB"):
        ClipFolder(tmp_path, ClipsSettings()).write("press/a.wav", SOUND, ORIGIN)
    assert clip_path(tmp_path, "press/a.wav") is None


def test_what_a_killed_process_left_is_removed_and_nothing_else(tmp_path):
    press = tmp_path / CLIPS_DIR_NAME / "press"
    press.mkdir(parents=True)
    for name in (".a.wav.part", "note.txt"):
        (press / name).write_text("x")
    folder(tmp_path).remove_unfinished()
    folder(tmp_path, max_age_days=1e-9).remove_excess()
    assert [path.name for path in press.iterdir()] == ["note.txt"]


def test_nothing_is_written_or_removed_through_a_link(tmp_path):
    # a stream's folder that was a link had the files of another folder removed for age, and its clips were never found
    music = tmp_path / "music"
    music.mkdir()
    (music / "song.wav").write_bytes(b"x" * 1000)
    (music / ".song.wav.part").write_bytes(b"x")
    os.utime(music / "song.wav", (0, 0))
    (tmp_path / CLIPS_DIR_NAME).mkdir()
    (tmp_path / CLIPS_DIR_NAME / "press").symlink_to(music)
    kept = folder(tmp_path)
    kept.remove_unfinished()
    kept.remove_excess()
    with pytest.raises(OSError, match="a link"):
        kept.write("press/a.wav", SOUND, ORIGIN)
    assert sorted(path.name for path in music.iterdir()) == [".song.wav.part", "song.wav"]


@pytest.mark.parametrize("comment", [" ", "[]", '{"stream": 1}', "{"])
def test_a_foreign_file_says_nothing_of_its_origin(tmp_path, comment):
    path = tmp_path / "x.wav"
    with soundfile.SoundFile(path, "w", 16000, 1) as audio:
        audio.comment = comment
        audio.write(SOUND)
    assert clip_origin(path) is None
    path.write_bytes(b"not audio")
    assert clip_origin(path) is None
