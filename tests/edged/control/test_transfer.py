"""Files over a real control socket, piece by piece."""

import os
from contextlib import contextmanager

import pytest
import zmq

from edged.config import Config
from edged.control.client import ControlClient
from edged.control.server import ControlServer
from edged.control.transfer import fetched_file, sent_files
from edged.errors import ControlError, UsageError
from edged.runtime.sending import Sending
from edged.security import SocketGuard


@contextmanager
def daemon(tmp_path, **control):
    """The verbs of sending alone, and a client of theirs."""
    config = Config.model_validate({"state_dir": str(tmp_path / "state"), "control": control})
    sending = Sending(config)
    with zmq.Context() as context:
        server = ControlServer(
            SocketGuard(context, config.security), f"ipc://{tmp_path}/s", config.control, quick=sending.verbs, long={}
        )
        server.start()
        with ControlClient(f"ipc://{tmp_path}/s") as client:
            yield sending, client
        assert server.stop(10.0)


@pytest.mark.parametrize("max_message_bytes", [1024, 1 << 20])
def test_files_arrive_as_they_are_whatever_fits_into_a_message(tmp_path, max_message_bytes):
    sent = {"a.wav": os.urandom(5000), "empty.wav": b"", "ü" * 50 + ".wav": b"x" * 1024}
    for name, data in sent.items():
        (tmp_path / name).write_bytes(data)
    with daemon(tmp_path, max_message_bytes=max_message_bytes) as (sending, client):
        with sent_files(client, [tmp_path / name for name in sent]) as transfer, sending.files(transfer, []) as paths:
            assert [path.name for path in paths] == list(sent)
            assert [path.read_bytes() for path in paths] == list(sent.values())
        assert list((tmp_path / "state" / "transfers").iterdir()) == []


def test_pieces_fit_what_clients_send_and_take_where_larger_messages_are_allowed(tmp_path):
    """With a max_message_bytes above 1 MiB no file that was larger could be enrolled, nor any archive fetched."""
    data = os.urandom(3 << 20)
    (tmp_path / "a.wav").write_bytes(data)
    with daemon(tmp_path, max_message_bytes=1 << 28) as (sending, client):
        with sent_files(client, [tmp_path / "a.wav"]) as transfer, sending.files(transfer, []) as (path,):
            assert path.read_bytes() == data
        with sending.to_fetch("bank") as (transfer, path):
            path.write_bytes(data)
        assert fetched_file(client, transfer) == data


def test_names_that_are_no_text_arrive_printable(tmp_path):
    path = tmp_path / os.fsdecode(b"a\xff\n.wav")
    path.write_bytes(b"x")
    with (
        daemon(tmp_path) as (sending, client),
        sent_files(client, [path]) as transfer,
        sending.files(transfer, []) as paths,
    ):
        assert [one.name for one in paths] == ["a\\xff\\n.wav"]


def test_a_file_is_fetched_whole(tmp_path):
    data = os.urandom(3000)
    with daemon(tmp_path, max_message_bytes=1024) as (sending, client):
        with sending.to_fetch("bank") as (transfer, path):
            path.write_bytes(data)
        assert fetched_file(client, transfer) == data
        with pytest.raises(UsageError, match="no such one"):
            client.call("transfer.get", {"transfer": transfer})


def test_what_fails_on_the_way_leaves_nothing(tmp_path):
    (tmp_path / "large.wav").write_bytes(bytes(3 << 20))
    with daemon(tmp_path, max_transfer_mib=1) as (_, client):
        with pytest.raises(UsageError, match="max_transfer_mib is 1"), sent_files(client, [tmp_path / "large.wav"]):
            pass
        with pytest.raises(UsageError, match="No such file"), sent_files(client, [tmp_path / "absent.wav"]):
            pass
        assert list((tmp_path / "state" / "transfers").iterdir()) == []


@pytest.mark.parametrize(
    "piece",
    [
        {"file": -1}, {"file": 0, "offset": -1}, {"name": "../a"}, {"name": "a\0"}, {"data": 5}, {"file": 10**30},
        {"data": "é"}, {"transfer": "../.."}, {"more": 1},
    ],
)  # fmt: skip
def test_pieces_that_make_no_sense_are_refused(tmp_path, piece):
    with daemon(tmp_path) as (_, client):
        transfer = client.call("transfer.begin")["transfer"]
        whole = {"transfer": transfer, "file": 0, "name": "a.wav", "offset": 0, "data": "QQ=="} | piece
        with pytest.raises((ControlError, UsageError)):
            client.call("transfer.put", whole)
    assert not (tmp_path / "a").exists()
