"""Archives of keyword banks: a device's words for its siblings, and nothing that would end a daemon."""

import json
import warnings

import numpy as np
import pytest

from edged.assembly import Assembly
from edged.configfile import parse_config
from edged.errors import EnrolmentError, StateError
from edged.flow import Block
from edged.offline import judge_blocks
from edged.references.clips import KEYWORD_CLIPS, clip_of_samples
from edged.references.enroll import enroll_keyword
from edged.references.signing import DeviceKey
from edged.references.store import BankStore
from edged.references.transfer import export_bank, import_bank
from tests.fakes.sounds import word

ASSEMBLY = Assembly(parse_config({}, "test"))
WORDS = {"alpha": 3, "omega": 4}


def take(state, path, stream="hall", **options):
    with BankStore(state) as store:
        return import_bank(ASSEMBLY, store, state, stream, path, **options)


def active(state, stream="hall"):
    with BankStore(state) as store:
        return store.load_active(stream, "keyword")


@pytest.fixture(scope="module")
def sender(tmp_path_factory):
    """A state with two words, and its archive."""
    state = tmp_path_factory.mktemp("sender")
    with BankStore(state) as store:
        for name, n in WORDS.items():
            clips = [clip_of_samples(f"{name}{s}.wav", np.pad(word(name, s), 4000), KEYWORD_CLIPS) for s in range(n)]
            enroll_keyword(ASSEMBLY, store, "hall", clips, word=name)
        report = export_bank(store, state, "hall", "keyword", state / "words.edged-bank")
    assert (report["monitor"], report["version"]) == ("keyword", 2)
    return state


@pytest.fixture
def sibling(sender, tmp_path):
    state = tmp_path / "sibling"
    state.mkdir()
    return state, {"signer": DeviceKey(sender).public}


def heard(state, stream):
    """What a monitor with a state's words finds in a sentence."""
    with BankStore(state) as store:
        monitor = ASSEMBLY.monitor(store, stream, "keyword")
    sound = np.concatenate([np.pad(word(name, 20), 8000) for name in WORDS])
    return [
        (found.keyword, found.onset_sample, found.score)
        for outcome in judge_blocks([Block(0, sound)], monitor, ASSEMBLY)
        for found in outcome.detections
    ]


def test_words_arrive_bit_for_bit_and_are_spotted_as_before(sender, sibling):
    state, options = sibling
    report = take(state, sender / "words.edged-bank", "saw", **options)
    assert (report["monitor"], report["labels"], report["version"], report["version_before"]) == (
        "keyword", WORDS, 1, 0,
    )  # fmt: skip
    ours, theirs = active(sender), active(state, "saw")
    assert ours.facts == theirs.facts
    assert {k: v.tobytes() for k, v in ours.arrays.items()} == {k: v.tobytes() for k, v in theirs.arrays.items()}
    found = heard(sender, "hall")
    assert found
    assert found == heard(state, "saw")


def test_words_of_a_stranger_are_refused_and_a_dry_run_changes_nothing(sender, sibling):
    state, options = sibling
    with pytest.raises(EnrolmentError, match="not trusted here"):
        take(state, sender / "words.edged-bank")
    assert take(state, sender / "words.edged-bank", dry_run=True, **options)["labels"] == WORDS
    assert active(state) is None


def test_an_import_replaces_the_words_there_were_and_leaves_other_monitors_alone(sender, sibling):
    state, options = sibling
    with BankStore(state) as store:
        clips = [clip_of_samples(f"{s}.wav", np.pad(word("stop", s), 4000), KEYWORD_CLIPS) for s in range(3)]
        enroll_keyword(ASSEMBLY, store, "hall", clips, word="stop")
    report = take(state, sender / "words.edged-bank", **options)
    assert (report["version"], report["version_before"]) == (2, 1)
    with BankStore(state) as store:
        assert store.streams() == [("hall", "keyword")]
        assert store.rollback("hall", "keyword") == 1
    assert active(state).facts["clips"][0]["label"] == "stop"


def odd_archive(sender, tmp_path, damage):
    """What a trusted device might sign that is no usable bank."""
    state = tmp_path / "odd"
    state.mkdir()
    (state / "signing.key").write_bytes((sender / "signing.key").read_bytes())
    (state / "signing.key").chmod(0o600)
    stored = active(sender)
    facts, arrays = json.loads(json.dumps(dict(stored.facts))), dict(stored.arrays)
    damage(facts, arrays)
    with BankStore(state) as store:
        store.commit("hall", "keyword", facts, arrays, reason="x", based_on=0)
        export_bank(store, state, "hall", "keyword", tmp_path / "odd.edged-bank")
    return tmp_path / "odd.edged-bank"


def _array(name, change):
    def damage(_facts, arrays):
        arrays[name] = change(arrays[name])

    return damage


def _fact(change):
    return lambda facts, _arrays: change(facts)


@pytest.mark.parametrize(
    "damage",
    [
        _array("template/0", lambda rows: rows[:, :-1]),
        _array("template/0", lambda rows: rows[0]),
        _array("template/0", lambda rows: rows[:0]),
        _array("template/0", lambda rows: np.full_like(rows, np.nan)),
        _array("model/template/00000", lambda rows: rows[:, :-1]),
        _array("model/template/00000", lambda rows: np.full_like(rows, np.inf)),
        _array("model/word_of_template", lambda words: words + 7),
        _array("model/word_of_template", np.zeros_like),
        lambda _facts, arrays: arrays.pop("template/0"),
        _array("model/ordinary", np.negative),
        _array("model/ordinary", lambda distances: distances[:1]),
        _array("model/limit", np.negative),
        _array("model/brevity_weight", lambda weight: weight - 9.0),
        _fact(lambda facts: facts.update(averaged=["al\x1b[2Jpha"])),
        _fact(lambda facts: facts.update(averaged=[["alpha"]])),
        _fact(lambda facts: facts["clips"].clear()),
        _fact(lambda facts: facts["clips"].append(facts["clips"][0])),
        _fact(lambda facts: facts["clips"][0].update(label="al\x1b[2Jpha")),
        _fact(lambda facts: facts["clips"][0].update(label="")),
        _fact(lambda facts: facts["clips"][0].update(duration_s="long")),
        _fact(lambda facts: facts.update(bundle_digest="0" * 64, vectors_digest="0" * 64)),
    ],
)
def test_what_is_signed_but_no_bank_of_words_is_refused(sender, sibling, tmp_path, damage):
    # templates of NaN, or of the model alone, were taken, and the monitor was deaf or ended the daemon
    state, options = sibling
    path = odd_archive(sender, tmp_path, damage)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises((EnrolmentError, StateError)):
            take(state, path, **options)
    assert active(state) is None
