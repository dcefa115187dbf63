"""The flow of each monitor, in order. Read this file first; `push`, which both share, is in `edged.monitor`.

    block -> features -> segment -> (embedder, in batches of many streams) -> embedding -> score -> decide -> detection
             `push`                                                            `accept`

A monitor is pure: no thread, clock, socket or file. The daemon and `edged score` run these very objects, so any way of
cutting a signal into blocks gives the same detections. The embedder stands outside, between `push` and `accept`: one
worker can embed the segments of all streams in one batch.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edged.config import AnomalySettings, KeywordSettings
from edged.decide.anomaly import AnomalyDecider
from edged.decide.discount import Excesses, discount
from edged.decide.near_misses import NearMisses
from edged.decide.normal import NormalScores
from edged.decisions import drift_settings, hysteresis_settings
from edged.embed.bundle import Bundle
from edged.embed.protocol import Embedder
from edged.errors import StateError
from edged.features.anomaly import AnomalyFeatures
from edged.features.health import InputLimits, InputVerdict, input_verdict
from edged.features.keyword import KeywordFeatures
from edged.flow import (
    SAMPLE_RATE_HZ,
    Block,
    Detection,
    Embedding,
    Float32Array,
    InputFacts,
    InputRange,
    Outcome,
    Scored,
)
from edged.frontend import anomaly_spec, front_end, keyword_spec
from edged.monitor import FrontHalf, Monitor
from edged.references.anomaly import AnomalyBank
from edged.references.finding import Rule, enrolment_threshold
from edged.references.fitting import advice as fitting_advice
from edged.references.keyword import KeywordBank
from edged.references.keyword_limits import Heard, LimitFinder, WordLimit, limits_of
from edged.references.thresholds import FoundThresholds, ThresholdChoice, threshold_settings
from edged.score.choices import scoring_text
from edged.spotting import KeywordSpotter

__all__ = ["AnomalyMonitor", "KeywordMonitor", "Monitor", "embed_signal", "run_once"]

MOST_GIVEN_UP = 8
"""Versions of a bank whose last near misses wait to be taken: nobody takes them offline."""


class AnomalyMonitor(FrontHalf):
    """Says when a stream does not sound as it normally does.

    Args:
        stream: name of the stream.
        bundle: a bundle of kind ``anomaly``.
        settings: of the decision.
        bank: the references; None until something is enrolled: segments then pass without a score.
    """

    name = "anomaly"

    def __init__(self, stream: str, bundle: Bundle, settings: AnomalySettings, bank: AnomalyBank | None = None) -> None:
        spec = anomaly_spec(bundle)
        super().__init__(stream, bundle, AnomalyFeatures(spec))
        self.spec = spec
        self._settings = settings
        self._limits = InputLimits(deaf_below_db=settings.deaf_below_db, hiss_beyond_db=settings.hiss_beyond_db)
        hop_s = spec.hop_samples / SAMPLE_RATE_HZ
        self._decider = AnomalyDecider(hysteresis_settings(settings, hop_s), drift_settings(settings, hop_s))
        self._heard = Excesses()
        self._far: tuple[Excesses, float] | None = None
        self._normal = NormalScores()
        self._found: FoundThresholds | None = None
        self.use_bank(bank)

    @property
    def bank(self) -> AnomalyBank | None:
        """The references in use."""
        return self._bank

    @property
    def bank_version(self) -> int:
        """Version of the references in use; 0 while nothing is enrolled; for any thread."""
        bank = self._bank
        return bank.version if bank else 0

    @property
    def advice(self) -> str:
        """To refit, where the references were fitted by other back ends than configuration or bundle now name."""
        bank, settings = self._bank, self._settings
        if bank is None:
            return ""
        if bank.scoring == settings.scoring:
            return fitting_advice(bank.fitted_by, self.bundle, bank.scoring, self.stream)
        used, wanted = scoring_text(bank.scoring), scoring_text(settings.scoring)
        fix = f"`edged references refit --stream {self.stream}` applies it"
        return f"fitted by scoring '{used}', which stays in use; the configuration says '{wanted}': {fix}"

    @property
    def threshold(self) -> float | None:
        """The anomaly score in force as threshold, where no domain has its own; None while nothing is enrolled."""
        return self._thresholds.of() if self._thresholds else None

    @property
    def thresholds(self) -> ThresholdChoice | None:
        """Where the thresholds in force come from; for any thread."""
        return self._thresholds

    @property
    def settings(self) -> AnomalySettings:
        """In force; for any thread."""
        return self._settings

    @property
    def rule(self) -> Rule:
        """How scores become alarms; for any thread."""
        hop_s, segment_s = (n / SAMPLE_RATE_HZ for n in (self.spec.hop_samples, self.spec.segment_samples))
        return Rule(hysteresis_settings(self._settings, hop_s), hop_s, segment_s)

    def use_threshold_settings(self, settings: AnomalySettings) -> None:
        """Take what settings say of the threshold from the next embedding on; nothing else of them."""
        self._settings = self._settings.model_copy(update=threshold_settings(settings))
        self._choose_thresholds()

    def use_found_thresholds(self, found: FoundThresholds | None) -> None:
        """Take thresholds found for a budget from the next embedding on, where they fit references and settings."""
        self._found = found
        self._choose_thresholds()

    def _choose_thresholds(self) -> None:
        bank, settings, decision = self._bank, self._settings, self.bundle.manifest.decision
        own = enrolment_threshold(bank, settings, decision) if bank else 0.0
        self._thresholds = ThresholdChoice(settings, bank.version, own, self._found) if bank else None

    def use_bank(self, bank: AnomalyBank | KeywordBank | None) -> Outcome:
        """Take other references from the next embedding on; without any, what lasts is over."""
        if isinstance(bank, KeywordBank):
            raise StateError(f"{self.stream}: keyword references cannot serve an anomaly monitor")
        ended = Outcome(detections=self._decider.end("references removed")) if bank is None else Outcome()
        self._bank = bank
        self._enrolled = InputRange.joined(clip.heard for clip in bank.clips) if bank else None
        if bank:
            self._normal = NormalScores.of(bank.scorer.normal_scores)
            self._decider.use_normal(self._normal)
        self._choose_thresholds()
        return ended

    def judge_input(self, facts: InputFacts) -> InputVerdict:
        """Whether a stretch of the input is sound at all, and near the enrolled levels; from any thread."""
        return input_verdict(facts, self._enrolled, self._limits)

    def discount_by(self, far: AnomalyMonitor, share: float) -> None:
        """Discount what another stream hears at the same time; that one must always be given its sound first."""
        self._far = far._heard, share

    def accept(self, embedding: Embedding) -> Outcome:
        """Score, then decide; an input that is no sound is scored, and nothing is decided by it."""
        self.accounting.score(embedding)
        if self._bank is None or self._thresholds is None:
            return Outcome()
        scored = self._scored(embedding, self._bank, self._thresholds)
        if not scored.is_judged:
            self._decider.skip()
            return Outcome((scored,))
        return Outcome((scored,), self._decider.push(scored, embedding.epoch, self.bank_version))

    def finish(self) -> Outcome:
        """Nothing waits in an anomaly monitor."""
        return Outcome()

    def _scored(self, embedding: Embedding, bank: AnomalyBank, thresholds: ThresholdChoice) -> Scored:
        score = bank.scorer.score(embedding.vectors)
        start, end, epoch = embedding.sample_start, embedding.sample_end, embedding.epoch
        state, lowered_by = "ok", 0.0
        if embedding.input:
            state = self.judge_input(embedding.input).state
        if state == "ok":
            self._heard.add(score.anomaly_score, self._normal.typical, start, end, epoch)
            if self._far:
                heard, share = self._far
                lowered_by = discount(score.anomaly_score, self._normal.typical, heard.at(start, end, epoch), share)
        threshold = thresholds.of(score.domain)
        return Scored(start, end, score.anomaly_score - lowered_by, threshold, score.domain, state, lowered_by)


class KeywordMonitor(FrontHalf):
    """Says which enrolled word was spoken, from when to when.

    Args:
        stream: name of the stream.
        bundle: a bundle of kind ``keyword``.
        settings: thresholds.
        bank: the enrolled words; None until something is enrolled.
        all_matches: report every candidate below the bundle's loose distance, so that others can set thresholds.
    """

    name = "keyword"

    def __init__(
        self,
        stream: str,
        bundle: Bundle,
        settings: KeywordSettings,
        bank: KeywordBank | None = None,
        *,
        all_matches: bool = False,
    ) -> None:
        self._spec = keyword_spec(bundle)
        super().__init__(stream, bundle, KeywordFeatures(self._spec))
        self._settings = settings
        self._all_matches = all_matches
        self._frames_name = bundle.manifest.representations[0].name
        self._leftover: tuple[Detection, ...] = ()
        self._spotter: KeywordSpotter | None = None
        self._heard: Heard = {}
        self._limits: tuple[WordLimit, ...] = ()
        self._given_up: list[dict[str, NearMisses]] = []
        self.use_bank(bank)

    @property
    def settings(self) -> KeywordSettings:
        """In force; for any thread."""
        return self._settings

    @property
    def bank(self) -> KeywordBank | None:
        """The words in use."""
        return self._spotter.bank if self._spotter else None

    @property
    def limits(self) -> tuple[WordLimit, ...]:
        """The limit of each word and where it comes from; for any thread."""
        return self._limits

    def use_heard(self, heard: Heard) -> None:
        """Judge by what was near to the words lately, from the next embedding on."""
        self._heard = heard
        if self._spotter:
            self.use_limits(
                LimitFinder(self._spotter.bank, self._settings, heard).limits(), self._settings, self.bank_version
            )

    def use_limits(self, limits: Sequence[WordLimit], settings: KeywordSettings, bank_version: int) -> None:
        """Take limits and the settings they were found for from the next embedding on, if that bank is in use."""
        self._settings = settings
        if self._spotter and bank_version == self.bank_version:
            self._limits = tuple(limits)
            self._spotter.use_limits(limits_of(limits))

    def take_near_misses(self) -> list[dict[str, NearMisses]]:
        """What was near to each word (by its identity) since the last time (the thread of the monitor)."""
        taken, self._given_up = self._given_up, []
        return [*taken, *self._spotter.take_near_misses()] if self._spotter else taken

    @property
    def bank_version(self) -> int:
        """Version of the references in use; 0 while nothing is enrolled; for any thread."""
        spotter = self._spotter
        return spotter.bank.version if spotter else 0

    def use_bank(self, bank: AnomalyBank | KeywordBank | None) -> Outcome:
        """Take other words from the next embedding on; what is over is decided now, what is being said goes on."""
        if isinstance(bank, AnomalyBank):
            raise StateError(f"{self.stream}: anomaly references cannot serve a keyword monitor")
        before, decision = self._spotter, self.bundle.manifest.decision
        # the worker waits for this: words that stay keep the limit last found, from newer facts than `heard`
        known = dict(zip(before.identities, self._limits, strict=True)) if before else {}
        self._limits = tuple(LimitFinder(bank, self._settings, self._heard).limits(known)) if bank else ()
        limits = limits_of(self._limits)
        self._spotter = KeywordSpotter(bank, decision, limits, self._spec, self._all_matches) if bank else None
        if before:
            self._leftover += self._spotter.follow(before) if self._spotter else before.finish()
            self._given_up = [*self._given_up[-MOST_GIVEN_UP:], *before.take_near_misses()]
        return Outcome()

    def accept(self, embedding: Embedding) -> Outcome:
        """Warp the new frames onto all templates, then decide."""
        self.accounting.score(embedding)
        detections, self._leftover = self._leftover, ()
        if self._spotter:
            detections += self._spotter.push(embedding, embedding.vectors[self._frames_name])
        return Outcome(detections=detections)

    def finish(self) -> Outcome:
        """Decide what was still waiting for a better candidate."""
        detections, self._leftover = self._leftover, ()
        return Outcome(detections=detections + (self._spotter.finish() if self._spotter else ()))


def embed_signal(samples: Float32Array, bundle: Bundle, embedder: Embedder) -> list[Embedding]:
    """A whole clip through the front end and the embedder of a bundle, as a stream would go."""
    features = front_end(bundle)
    return embedder.embed([*features.push(Block(0, samples)), *features.flush()])


def run_once(bundle: Bundle, embedder: Embedder) -> None:
    """A segment of noise through the front end and the model: what cannot run is known before anything relies on it.

    Raises:
        BundleError: it cannot.
    """
    noise = np.random.default_rng(0).standard_normal(bundle.manifest.segment_samples).astype(np.float32) * 0.01
    embed_signal(noise, bundle, embedder)
