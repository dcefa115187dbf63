"""Reading `edged.yaml`: whatever stands in it, one error names every problem and nothing else happens."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.config import Config
from edged.configfile import MAX_CONFIG_BYTES, load_config, parse_config
from edged.errors import ConfigError

GOOD = """
devices:
  hall: {source: microphone}
streams:
  press-3: {device: hall, monitors: [anomaly]}
"""


@pytest.fixture
def write(tmp_path):
    def write(text):
        path = tmp_path / "edged.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def refusal(path):
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert caught.value.exit_code == 78
    return str(caught.value)


def test_a_good_file_is_read(write):
    assert load_config(write(GOOD)).streams["press-3"].device == "hall"


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n"])
def test_an_empty_file_is_all_defaults(write, text):
    assert load_config(write(text)) == Config()


def test_the_state_option_wins(write, tmp_path):
    config = load_config(write("state_dir: /var/lib/edged\n"), state_dir=tmp_path)
    assert config.state_path == tmp_path


def test_every_problem_is_named_at_once(write):
    message = refusal(
        write(
            "devices:\n  hall: {source: file}\nstreams:\n  press: {device: hall, monitors: [anomaly], chanel: 1}\n"
            "capture: {block_ms: 1}\nmetrcs: {}\n"
        )
    )
    assert "4 problems" in message
    assert "devices.hall.path: missing" in message
    assert "streams.press.chanel: unknown key; did you mean 'channel'?" in message
    assert "capture.block_ms" in message
    assert "(is '1')" in message
    assert "metrcs: unknown key; did you mean 'metrics'?" in message


def test_a_stream_on_an_unknown_device_is_told_which_there_are(write):
    assert "did you mean 'hall'?" in refusal(write(GOOD.replace("device: hall", "device: hal")))
    assert "known: hall" in refusal(write(GOOD.replace("device: hall", "device: zzz")))


def test_an_unknown_source_is_refused(write):
    assert "devices.hall" in refusal(write(GOOD.replace("source: microphone", "source: telepathy")))


@pytest.mark.parametrize("text", ["metrics: {port: 1}\nmetrics: {port: 2}\n", "metrics: {port: 1, port: 2}\n"])
def test_a_key_given_twice_is_refused(write, text):
    assert "key given twice" in refusal(write(text))


@pytest.mark.parametrize("text", ["- a\n- b\n", "hello\n", "42\n", "true\n"])
def test_something_other_than_keys_and_values_is_refused(write, text):
    assert "not keys and values" in refusal(write(text))


@pytest.mark.parametrize(
    "text",
    [
        "a: [",
        "a: b: c",
        "\tx: 1",
        b"\xff\xfe\x00bad",
        b"\x00",
        "a: !!python/object/apply:os.system ['true']",
        "? [a, b]\n: 1",
        "? {a: 1}\n: 1",
        "&a [*a]",
    ],
)
def test_what_is_no_plain_yaml_is_refused(write, text):
    assert "edged.yaml" in refusal(write(text))


def test_a_huge_file_is_not_parsed(write):
    assert "larger than 1024 KiB" in refusal(write("# " + "x" * MAX_CONFIG_BYTES))


def test_deep_nesting_is_refused(write):
    assert "not valid YAML" in refusal(write("a: " + "[" * 20_000))


def test_aliases_that_unfold_without_end_are_refused_soon(write):
    """A billion laughs: small in the file, 10^9 items when written out."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{k}: &a{k} [" + ", ".join([f"*a{k - 1}"] * 10) + "]" for k in range(1, 10)]
    message = refusal(write("\n".join(lines)))
    assert "unknown key" in message
    assert len(message) < 10_000


def test_aliases_as_a_value_do_not_fill_the_message(write):
    lines = ["x0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"x{k}: &a{k} [" + ", ".join([f"*a{k - 1}"] * 10) + "]" for k in range(1, 9)]
    message = refusal(write("\n".join([*lines, "state_dir: *a8"])))
    assert "state_dir" in message
    assert len(message) < 10_000


@pytest.mark.parametrize("name", ["absent.yaml", "."])
def test_a_file_that_cannot_be_read_is_named(tmp_path, name):
    assert "name an existing file with --config" in refusal(tmp_path / name)


def assert_read_or_refused(read, origin):
    try:
        result = read()
    except ConfigError as error:
        result = error
    assert isinstance(result, Config) or str(result).startswith(origin)


@given(text=st.text(max_size=300))
def test_any_text_is_a_configuration_or_one_clear_error(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("any") / "edged.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    assert_read_or_refused(lambda: load_config(path), str(path))


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(values=st.dictionaries(st.sampled_from(list(Config.model_fields)), json_like, min_size=1))
def test_any_value_under_any_section_is_a_configuration_or_one_clear_error(values):
    assert_read_or_refused(lambda: parse_config(values, "any.yaml"), "any.yaml")


@pytest.mark.parametrize("device", ["{source: pcm, channels: 2}", "{source: microphone, channels: 2}"])
def test_a_channel_that_its_device_does_not_open_is_named(write, device):
    """It was found out when the first sound came: the device failed for good."""
    text = f"devices: {{hall: {device}}}\nstreams: {{press: {{device: hall, channel: 2, monitors: [anomaly]}}}}\n"
    assert "streams.press.channel: device 'hall' opens 2 channels" in refusal(write(text))


def test_a_threshold_that_no_keyword_can_reach_is_refused(write):
    monitors = "{keyword: {thresholds: {stop: 0.5}}}"
    message = refusal(write(f"devices: {{a: {{source: pcm}}}}\nstreams: {{s: {{device: a, monitors: {monitors}}}}}\n"))
    assert "thresholds.stop" in message


HALL = """
devices: {hall: {source: microphone, channels: 2}, yard: {source: microphone}}
streams:
  near: {device: hall, monitors: [anomaly], reference_stream: %s}
  far: {device: hall, channel: 1, monitors: [anomaly]}
  word: {device: hall, channel: 1, monitors: [keyword]}
  yard: {device: yard, monitors: [anomaly]}
  loop: {device: hall, monitors: [anomaly], reference_stream: circle}
  circle: {device: hall, monitors: [anomaly], reference_stream: %s}
"""


def test_a_reference_stream_of_the_same_device_is_accepted(write):
    config = load_config(write(HALL % ("far", "far")))
    assert config.streams_references_first == ["far", "word", "yard", "near", "circle", "loop"]


@pytest.mark.parametrize(
    ("near", "circle", "reason"),
    [
        ("fra", "far", "streams.near.reference_stream: no stream 'fra'; did you mean 'far'?"),
        ("near", "far", "streams.near.reference_stream: 'near' leads back to 'near'"),
        ("word", "far", "streams.near.reference_stream: 'word' has no anomaly monitor"),
        ("yard", "far", "'yard' is on device 'yard', not 'hall': their sample clocks differ"),
        ("far", "loop", "streams.loop.reference_stream: 'circle' leads back to 'loop'"),
    ],
)
def test_a_reference_stream_that_cannot_be_one_is_refused(write, near, circle, reason):
    assert reason in refusal(write(HALL % (near, circle)))


def test_clips_that_could_never_be_saved_are_refused(write):
    # every one was lost, with a line in the log each
    text = "capture: {ring_s: 30}\nclips: {post_roll_s: 60, anomaly: %s}\n"
    with pytest.raises(ConfigError, match=r"clips\.post_roll_s: needs a capture\.ring_s of 65 or more \(is 30\)"):
        load_config(write(text % "true"))
    assert load_config(write(text % "false")).clips.post_roll_s == 60
