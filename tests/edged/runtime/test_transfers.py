import pytest

from edged.errors import EnrolmentError, StateError, UsageError
from edged.runtime import transfers as module
from edged.runtime.transfers import MAX_TRANSFERS, Transfers


class Time:
    now_s = 0.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def time():
    return Time()


@pytest.fixture
def transfers(tmp_path, time):
    return Transfers(tmp_path, 1000, 0, time)


def test_pieces_become_files_that_are_gone_afterwards(transfers, tmp_path):
    name = transfers.begin()
    assert transfers.put(name, 0, "a.wav", 0, b"12") == 2
    assert transfers.put(name, 0, "a.wav", 2, b"34") == 4
    transfers.put(name, 1, "a.wav", 0, b"")
    with transfers.used(name) as paths:
        assert [(path.name, path.read_bytes()) for path in paths] == [("a.wav", b"1234"), ("a.wav", b"")]
        assert all(path.stat().st_mode & 0o077 == 0 for path in [paths[0].parent, paths[0].parent.parent])
        with pytest.raises(UsageError, match="no such one"):
            transfers.put(name, 2, "b.wav", 0, b"x")
        transfers.end(name)  # a client cannot pull the files away from under the daemon
        assert paths[0].exists()
    assert not paths[0].parent.parent.exists()


@pytest.mark.parametrize(("file", "offset"), [(0, 1), (1, 0), (0, 3), (2, 0), (10**6, 0)])
def test_pieces_out_of_order_are_refused(transfers, file, offset):
    name = transfers.begin()
    if (file, offset) != (1, 0):
        transfers.put(name, 0, "a.wav", 0, b"12")
    with pytest.raises(UsageError, match="not the next one"):
        transfers.put(name, file, "a.wav", offset, b"x")


@pytest.mark.parametrize("file_name", ["", ".", "..", "../a", "a/b", "/etc/passwd", ".hidden", "a\0", "a\n", "x" * 241])
def test_names_lead_nowhere(transfers, tmp_path, file_name):
    with pytest.raises(UsageError, match="no file name"):
        transfers.put(transfers.begin(), 0, file_name, 0, b"x")


def test_all_together_are_bounded(transfers):
    one, other = transfers.begin(), transfers.begin()
    transfers.put(one, 0, "a", 0, b"x" * 600)
    with pytest.raises(UsageError, match="max_transfer_mib"):
        transfers.put(other, 0, "a", 0, b"x" * 401)
    transfers.end(one)
    assert transfers.put(other, 0, "a", 0, b"x" * 401) == 401


def test_a_file_that_does_not_fit_is_not_half_there(transfers):
    name = transfers.begin()
    with pytest.raises(UsageError):
        transfers.put(name, 0, "a", 0, b"x" * 1001)
    assert transfers.put(name, 0, "a", 0, b"x") == 1


def test_some_of_the_disk_stays_free(tmp_path):
    full = Transfers(tmp_path, 1000, 1 << 60)
    with pytest.raises(StateError, match="too little space"):
        full.put(full.begin(), 0, "a", 0, b"x")


def test_too_many_are_refused_until_old_ones_are_forgotten(transfers, time):
    for _ in range(MAX_TRANSFERS):
        transfers.begin()
    with pytest.raises(UsageError, match="too many"):
        transfers.begin()
    time.now_s = module.FORGOTTEN_AFTER_S + 1.0
    transfers.begin()


def test_what_an_earlier_life_left_is_removed(transfers, tmp_path):
    transfers.put(transfers.begin(), 0, "a", 0, b"x")
    Transfers(tmp_path, 1000, 0)
    assert not (tmp_path / "transfers").exists()


def test_a_link_in_the_place_of_the_folder_is_not_followed(tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "precious").write_text("x")
    (tmp_path / "transfers").symlink_to(tmp_path / "other")
    Transfers(tmp_path, 1000, 0)
    assert (tmp_path / "other" / "precious").exists()


def test_a_full_disk_ends_the_transfer(transfers, monkeypatch):
    name = transfers.begin()
    monkeypatch.setattr(module.Path, "open", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(StateError, match="No space left"):
        transfers.put(name, 0, "a", 0, b"x")
    monkeypatch.undo()
    with pytest.raises(UsageError, match="no such one"):
        transfers.put(name, 0, "a", 0, b"x")


def test_what_is_refused_names_files_as_the_client_does(transfers):
    name = transfers.begin()
    transfers.put(name, 0, "a.wav", 0, b"x")
    with pytest.raises(EnrolmentError) as refusal, transfers.used(name) as paths:
        raise EnrolmentError(f"{paths[0]}: silent", report={"refused": [{"name": str(paths[0])}], "n": 1})
    assert refusal.value.message == str(refusal.value) == "a.wav: silent"
    assert refusal.value.report == {"refused": [{"name": "a.wav"}], "n": 1}


def test_a_named_directory_is_copied(transfers, tmp_path):
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "in" / "a.wav").write_bytes(b"a")
    (tmp_path / "in" / "deep" / ".b.wav").write_bytes(b"b")
    name = transfers.begin()
    transfers.copy_named(name, [tmp_path / "in"], str(tmp_path / "in"))
    with transfers.used(name) as paths:
        assert {path.name: path.read_bytes() for path in paths} == {"a.wav": b"a", "_.b.wav": b"b"}


def test_fetching_goes_piece_by_piece(transfers):
    name = transfers.begin()
    path = transfers.place(name, "bank")
    path.write_bytes(b"12345")
    transfers.placed(name, path)
    assert [transfers.get(name, offset, 3) for offset in (0, 3, 9)] == [(b"123", 5), (b"45", 5), (b"", 5)]


def test_without_room_the_whole_transfer_is_given_up(tmp_path, time):
    """What had come already stayed where there was no room, until another transfer began."""
    transfers = Transfers(tmp_path, 1000, 0, time)
    name = transfers.begin()
    transfers.put(name, 0, "a", 0, b"x")
    transfers._keep_free_bytes = 1 << 60
    with pytest.raises(StateError, match="too little space"):
        transfers.put(name, 0, "a", 1, b"x")
    assert list((tmp_path / "transfers").iterdir()) == []


def _fail(*_, **__):
    raise OSError(5, "Input/output error")


def test_what_the_disk_refuses_is_named(transfers, tmp_path, monkeypatch):
    """The client was told of a failure in edged."""
    (tmp_path / "a.wav").write_bytes(b"x")
    name = transfers.begin()
    monkeypatch.setattr(module.os, "read", _fail)
    with pytest.raises(UsageError, match=r"a\.wav: Input/output error"):
        transfers.copy_named(name, [tmp_path], str(tmp_path / "a.wav"))
    monkeypatch.setattr(module.Path, "mkdir", _fail)
    with pytest.raises(StateError, match="Input/output error"):
        transfers.place(name, "bank")


def test_what_a_client_gave_up_goes_without_another_client(transfers, time, tmp_path):
    """It stayed until somebody else began a transfer, which may be never."""
    given_up, used, young = transfers.begin(), transfers.begin(), transfers.begin()
    transfers.put(given_up, 0, "a", 0, b"x" * 100)
    with transfers.used(used):
        time.now_s = module.FORGOTTEN_AFTER_S + 1.0
        transfers.put(young, 0, "a", 0, b"x")
        transfers.forget_old()
        assert {path.name for path in (tmp_path / "transfers").iterdir()} == {used, young}
    with pytest.raises(UsageError, match="no such one"):
        transfers.put(given_up, 0, "a", 100, b"x")
