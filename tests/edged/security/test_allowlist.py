import pytest

from edged.errors import ConfigError
from edged.security.allowlist import read_allow_list
from edged.security.keys import new_pair, write_public


@pytest.fixture
def directory(tmp_path):
    (tmp_path / "control").mkdir()
    return tmp_path


def test_the_place_of_a_key_says_what_it_may_do(directory):
    """Its text does not: that may have come from the client."""
    panel, boss = new_pair().public, new_pair().public
    (directory / "panel.key").write_text(f'metadata\n    right = control\ncurve\n    public-key = "{panel.decode()}"\n')
    write_public(directory / "control" / "boss.key", boss)
    found = read_allow_list(directory)
    assert {key: (client.name, client.right) for key, client in found.items()} == {
        panel: ("panel", "listen"),
        boss: ("boss", "control"),
    }


def test_a_key_in_both_places_may_control(directory):
    key = new_pair().public
    for place in (directory, directory / "control"):
        write_public(place / "one.key", key)
    assert read_allow_list(directory)[key].right == "control"


def test_what_is_no_key_file_is_named_and_nobody_is_let_in(directory):
    write_public(directory / "good.key", new_pair().public)
    (directory / "bad.key").write_text("hello")
    with pytest.raises(ConfigError, match=r"bad\.key: not a key file"):
        read_allow_list(directory)


def test_a_list_that_anybody_may_add_to_is_refused(directory):
    directory.chmod(0o777)
    with pytest.raises(ConfigError, match="chmod o-w"):
        read_allow_list(directory)


def test_a_key_file_that_anybody_may_change_is_refused(directory):
    write_public(directory / "panel.key", new_pair().public)
    (directory / "panel.key").chmod(0o666)
    with pytest.raises(ConfigError, match=r"chmod o-w .*panel\.key"):
        read_allow_list(directory)


def test_other_files_are_passed_over(directory):
    (directory / "README").write_text("x")
    (directory / ".half.key").write_text("x")
    assert read_allow_list(directory) == {}


@pytest.mark.parametrize("make", [lambda _: None, lambda path: path.write_text("x")])
def test_no_directory_is_said_so(tmp_path, make):
    make(tmp_path / "list")
    with pytest.raises(ConfigError, match=r"security\.allowed_clients.*edged keys init"):
        read_allow_list(tmp_path / "list")


def test_a_link_that_leads_nowhere_is_named(directory):
    """It ended the daemon's start and `edged reload` with a traceback."""
    (directory / "gone.key").symlink_to(directory / "nowhere")
    with pytest.raises(ConfigError, match=r"gone\.key: No such file"):
        read_allow_list(directory)
