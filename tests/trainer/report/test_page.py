"""The page: known figures stand in it, hostile names do no harm, nothing comes from outside, like in, like out."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

import trainer.report.embedding_plot
import trainer.report.page
from edged.errors import UsageError
from trainer.data.machine_clip import MachineClip
from trainer.evaluate.bundle import Embeddings, SectionScores
from trainer.evaluate.judged import JudgedSection
from trainer.report.evaluation import Evaluation
from trainer.report.page import render_page
from trainer.report.summary import summarise, summary_fields

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "$\\frac{",
    "_x",
    "caf\udce9",
    "a\u202eb",
    "{{ 7*7 }}",
)


class Page(HTMLParser):
    """Tables by their id, all attributes and tags, and the text."""

    def __init__(self, text):
        super().__init__()
        self.tables, self.ids, self.tags, self.attributes, self.words = {}, [], set(), [], []
        self._table, self._cell = None, None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        own = dict(attributes)
        self.tags.add(tag)
        self.attributes += attributes
        self.ids += [own["id"]] if "id" in own else []
        if tag == "table":
            self._table = self.tables.setdefault(own.get("id", own.get("class", "")), [])
        elif tag == "tr":
            self._table.append([])
        elif tag in {"td", "th"}:
            self._table[-1].append("")
            self._cell = self._table[-1]
        elif tag == "small":
            self._cell[-1] += " "

    def handle_endtag(self, tag):
        if tag in {"td", "th"}:
            self._cell = None

    def handle_data(self, text):
        self.words.append(text)
        if self._cell is not None:
            self._cell[-1] += text.strip()

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


def section(machine, scores, n_normal, domains=None, name="00", prefix=""):
    flags = np.arange(len(scores)) >= n_normal
    paths = tuple(Path(f"data/{prefix}{k}.wav") for k in range(len(scores)))
    return JudgedSection(
        machine,
        name,
        np.array(scores, float),
        flags,
        domains or ("source",) * len(scores),
        paths,
        np.array([0.0, 1.0, 2.0, 3.0]),
    )


def known(**changes):
    """A fan with an AUC of 15/16, a pump with two domains that is always right."""
    fan = section("fan", [0, 1, 2, 3, 2.5, 4, 5, 6], 4)
    pump = section("pump", [0, 1, 2, 3, 7, 8], 4, ("source", "target", "source", "target", "source", "target"))
    levels = {path: float(k >= 4) for k, path in enumerate(fan.paths)}
    fields = {"title": "Known", "systems": {"ours": [fan, pump]}, "levels_dbfs": levels, "facts": {"bundle": "b@1"}}
    return Evaluation(**(fields | changes))


@pytest.fixture(scope="module")
def rendered():
    evaluation = known()
    summary = summarise(evaluation)
    return render_page(evaluation, summary), summary_fields(evaluation, summary)


def test_known_figures_stand_in_page_and_json(rendered):
    text, fields = rendered
    page = Page(text)
    assert fields["systems"]["ours"]["sections"]["fan/00"]["figures"]["auc"]["value"] == 15 / 16
    assert fields["systems"]["ours"]["means"]["auc"]["value"] == pytest.approx(2 / (16 / 15 + 1))
    rows = {tuple(row[:3]): row[3:] for row in page.tables["figures"][1:]}
    fan = fields["systems"]["ours"]["sections"]["fan/00"]["figures"]
    columns = ("auc", "partial_auc", "eer", "f1_ev", "bounded_f1_ev")
    cells = [f"{fan[c]['value']:.3f} {fan[c]['low']:.2f}–{fan[c]['high']:.2f}" for c in columns]
    assert rows["fan/00", "4 + 4", "both"] == cells
    assert rows["mean of sections", "", "both"][0].startswith("0.968 ")
    assert rows["", "", "target"][0] == "1.000 1.00–1.00"
    assert json.loads(json.dumps(fields, allow_nan=False)) == fields


def test_overall_scores(rendered):
    text, fields = rendered
    ours = fields["systems"]["ours"]
    values = [s["figures"][name]["value"] for s in ours["sections"].values() for name in ("auc", "partial_auc")]
    assert ours["thesis_score"] == pytest.approx(len(values) / sum(1 / v for v in values))
    assert ours["dcase_score"] is None  # the fan has no target domain
    assert Page(text).tables["scores"][1] == ["thesis score", f"{ours['thesis_score']:.3f}"]


def test_thresholds_are_those_of_table_10(rendered):
    text, fields = rendered
    header, *rows = Page(text).tables["thresholds"]
    assert header == ["method", "F1 fan", "F1 pump", "F1 mean", "precision", "recall", "false alarms"]
    names = [row[0] for row in rows]
    assert names[:8] == ["GDP", "HP", "SD", "MAD", "IQR", "OCSVM", "GESD", "cleverSD"]
    assert names[8:] == ["MST-GDP", "MST-HP", "MST-SD", "MST-MAD", "MST-IQR", "MST-OCSVM", "edged", "optimum"]
    # HP: the 90th percentile of 0, 1, 2, 3 is 2.7: one false alarm on each machine, one missed fan
    assert rows[1] == ["HP", "0.750", "0.800", "0.775", "0.708", "0.875", "0.250"]
    found = fields["systems"]["ours"]["sections"]["fan/00"]["thresholds"]["hp"]
    assert found == pytest.approx(
        {"threshold": 2.7, "f1": 0.75, "precision": 0.75, "recall": 0.75, "false_alarm_rate": 0.25}
    )


def test_what_speaks_against_the_figures_is_said(rendered):
    text, fields = rendered
    loud, few, thin = fields["warnings"]
    assert loud.startswith("Loudness alone tells normal and anomalous clips apart in fan/00 (AUC 1.00)")
    assert "fan/00 (4 normal, 4 anomalous), pump/00 (4 normal, 2 anomalous)" in few
    assert "fan/00 (4)" in thin
    assert all(warning in Page(text).text for warning in fields["warnings"])
    assert Page(text).tables["control"][1] == ["fan/00", "1.000", "0.938"]


def test_enough_clips_and_telling_nothing_by_loudness():
    rng = np.random.default_rng(0)
    many = JudgedSection(
        "fan",
        "00",
        np.r_[rng.normal(size=30), rng.normal(2, 1, 30)],
        np.arange(60) >= 30,
        ("source",) * 60,
        tuple(Path(f"{k}.wav") for k in range(60)),
        rng.normal(size=30),
    )
    levels = {path: float(rng.normal()) for path in many.paths}
    assert summarise(known(systems={"ours": [many]}, levels_dbfs=levels)).doubts == ()


def test_nothing_comes_from_outside(rendered):
    text, _ = rendered
    page = Page(text)
    assert "http:" not in text
    assert "https:" not in text
    assert page.tags.isdisjoint({"script", "link", "iframe", "object", "img", "base"})
    links = [value for name, value in page.attributes if name in {"src", "href", "xlink:href", "action", "data"}]
    assert all(value.startswith(("#", "data:image/png;base64,")) for value in links)
    assert set(re.findall(r"url\((.)", text)) <= {"#"}
    assert "@import" not in text


def test_ids_are_unique_and_links_lead_somewhere(rendered):
    page = Page(rendered[0])
    assert len(page.ids) == len(set(page.ids))
    targets = re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', rendered[0])
    assert {first or second for first, second in targets} <= set(page.ids)


def test_the_same_evaluation_gives_the_same_page(rendered):
    summary = summarise(known())
    assert render_page(known(), summary) == rendered[0]
    assert summary_fields(known(), summary) == rendered[1]
    assert summarise(known(seed=1)).systems[0].means != summary.systems[0].means


def test_hostile_names_are_text():
    sections = [section(HOSTILE[0], [0, 1, 2, 0, 3], 3, name=HOSTILE[1], prefix=HOSTILE[0])]
    conditions = ("normal", "anomaly") * 4
    embeddings = Embeddings(HOSTILE[0], np.eye(8, dtype=np.float32), conditions, ("source", *HOSTILE), ("x", *HOSTILE))
    clip = MachineClip(Path(f"{HOSTILE[0].replace('/', '')}.wav"), HOSTILE[1], HOSTILE[0], "source", "test", "unknown")
    listed = SectionScores(HOSTILE[1], HOSTILE[0], np.array([0.5]), (clip,), np.empty(0))
    evaluation = Evaluation(
        title=HOSTILE[0],
        systems={HOSTILE[3]: sections, HOSTILE[2]: sections},
        embeddings={HOSTILE[0]: embeddings},
        listed=[listed],
        facts={HOSTILE[0]: HOSTILE[4]},
        notes=[HOSTILE[1], HOSTILE[5], HOSTILE[6]],
    )
    text = render_page(evaluation)
    text.encode()
    page = Page(text)
    assert page.tags.isdisjoint({"script", "img"})
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    for name in (*HOSTILE[:4], "caf?", "a?b", HOSTILE[6]):
        assert name in page.text


def test_systems_stand_side_by_side():
    ours, theirs = section("fan", [0, 1, 2, 3], 2), section("fan", [0, 2, 1, 3], 2)
    page = Page(render_page(known(systems={"ours": [ours], "theirs": [theirs]})))
    assert page.tables["figures"][0] == ["", "ours", "theirs"]
    row = page.tables["figures"][2]
    assert [cell.split()[0] for cell in (row[3], row[8])] == ["1.000", "0.750"]
    assert page.tables["scores"][0] == ["over all sections", "ours", "theirs"]


def test_unlabelled_sections_are_listed():
    clips = tuple(MachineClip(Path(f"{k}.wav"), "fan", "01", "unknown", "test", "unknown") for k in range(40))
    listed = SectionScores("fan", "01", np.arange(40.0), clips, np.empty(0))
    text = Page(render_page(Evaluation("Unknown", {}, listed=[listed]))).text
    assert "40 clips (unknown), scores 0.00 to 39.00, median 19.50. The 30 highest:" in text
    assert "39.wav 39.00" in text
    assert "9.wav 9.00 " not in text.replace("39.wav", "").replace("19.wav", "").replace("29.wav", "")


def test_large_sets_are_bounded(monkeypatch):
    monkeypatch.setattr(trainer.report.page, "MAX_DRAWN_SECTIONS", 1)
    monkeypatch.setattr(trainer.report.page, "MAX_CLIPS", 20)
    monkeypatch.setattr(trainer.report.embedding_plot, "MAX_CLIPS", 20)
    rng = np.random.default_rng(0)
    n = 4000
    first = section("fan", rng.normal(size=n), n // 2)
    vectors = rng.normal(size=(n, 4)).astype(np.float32)
    embeddings = Embeddings("e", vectors, ("normal",) * n, ("source",) * n, ("fan/00",) * n)
    evaluation = known(
        systems={"ours": [first, section("fan", [0, 1, 2, 3], 2, name="01")]}, embeddings={"ours": embeddings}
    )
    text = render_page(evaluation)
    assert len(text) < 1_000_000
    assert "20 of 4000 clips, chosen at random" in Page(text).text
    assert "In the tables only: 1 more" in Page(text).text


def test_scores_that_are_not_numbers_are_refused():
    with pytest.raises(UsageError, match=r"ours, fan/00: data/1\.wav is scored nan"):
        known(systems={"ours": [section("fan", [0, np.nan, 2, 3], 2)]})
    with pytest.raises(UsageError, match="normal and anomalous"):
        known(systems={"ours": [section("fan", [0, 1], 2)]})
