"""What holds no text is printed escaped: a file name of other bytes ended a command with a UnicodeEncodeError."""

import io
import json
import sys

import pytest

from edged.cli import main
from edged.cli.output import print_table

EVENT = {"seq": 1, "time": "2026-01-31T13:00:00Z", "stream": "a", "kind": "status", "reason": "clip\udcff.wav ö 😀"}


@pytest.fixture(params=["utf-8", "ascii"])
def printed(request, monkeypatch):
    """Runs a command as the program does, on a strict terminal; its lines."""
    out = io.TextIOWrapper(io.BytesIO(), encoding=request.param, errors="strict")

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["edged", *arguments])
        monkeypatch.setattr(sys, "stdout", out)
        with pytest.raises(SystemExit) as ended:
            main.main()
        assert ended.value.code == 0
        out.flush()
        return out.buffer.getvalue().decode(request.param).splitlines()

    return run


@pytest.fixture(autouse=True)
def journal(monkeypatch):
    monkeypatch.setattr("edged.events.journal.read_journal", lambda *_, **__: [EVENT])


def test_as_json_it_is_what_it_was(printed, tmp_path):
    (line,) = printed("events", "--jsonl", "--state", str(tmp_path))
    assert json.loads(line) == EVENT


def test_for_people_it_is_escaped(printed, tmp_path):
    (line,) = printed("events", "--state", str(tmp_path))
    assert "reason=clip\\udcff.wav" in line


def test_brackets_and_colons_in_a_table_are_text(capsys):
    """A clip named `take[old].wav` was shown as `take.wav`, and `[/dev/snd]` in a reason ended the command."""
    print_table("site[a].yaml: ok", ("clip", "why"), [("take[old].wav", "[/dev/snd]: gone"), ("a:mic:", None)])
    shown = capsys.readouterr().out
    assert all(text in shown for text in ("site[a].yaml", "take[old].wav", "[/dev/snd]: gone", "a:mic:"))


LONG = "usb-C-Media_Electronics_Inc._USB_PnP_Sound_Device-00/" * 6


def test_no_cell_is_cut_in_a_pipe(capsys):
    print_table("devices", ("", "press"), [("path", LONG), ("state", "ok")])
    assert any(LONG in line for line in capsys.readouterr().out.splitlines())


def test_on_a_terminal_a_long_cell_goes_on_in_the_next_line(capsys, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    for name, value in (("COLUMNS", "60"), ("TERM", "dumb"), ("NO_COLOR", "1")):
        monkeypatch.setenv(name, value)
    print_table("devices", ("", "press"), [("path", LONG), ("state", "ok")])
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert LONG in "".join(line.strip("│┃ ").removeprefix("path").strip(" │") for line in lines)
