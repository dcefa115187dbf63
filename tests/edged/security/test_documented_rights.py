"""The table of verbs that integrators read says what the daemon does."""

import re
from pathlib import Path

from edged.config import Config
from edged.runtime.verbs import Verbs
from edged.security.allowlist import LISTENER_VERBS


def documented():
    text = (Path(__file__).parents[3] / "edged" / "README.md").read_text("utf-8")
    found = {}
    for names, right in re.findall(r"^\| (`.*?`) \| (listen|control) \|", text, re.MULTILINE):
        group = ""
        for name in re.findall(r"`([a-z.]+)`", names):
            full = group + name if name.startswith(".") else name
            group = full.split(".")[0]
            found[full] = right
    return found


def test_every_verb_is_listed_with_the_right_it_needs(tmp_path):
    verbs = Verbs(
        Config(state_dir=tmp_path), {}, use_bank=lambda *_: None, announce=lambda *_: None, status=dict, stop=list
    )
    rights = {name: "listen" if name in LISTENER_VERBS else "control" for name in ("ping", *verbs.quick, *verbs.long)}
    assert documented() == rights
