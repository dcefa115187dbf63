"""From a device's bank to an archive, and from an archive to a new version of a bank."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np

from edged.assembly import Assembly
from edged.embed.bundle import Bundle
from edged.errors import EdgedError, EnrolmentError, StateError
from edged.references import anomaly, keyword
from edged.references.archive import Archive, packed, read_archive
from edged.references.bank import ClipRecord
from edged.references.signing import DeviceKey, given_signer, trusted_signers
from edged.references.store import BankStore, StoredBank
from edged.score.dtw import StreamingDtw
from edged.score.keyword import KeywordModel

_PROBE_FRAMES = 64


def export_bank(store: BankStore, state_dir: Path, stream: str, monitor: str, out: Path) -> dict[str, Any]:
    """Write the active bank as an archive; nothing is overwritten.

    Raises:
        StateError: nothing is enrolled, or the device's key cannot be used.
        EnrolmentError: the file exists, or cannot be written.
    """
    stored = store.load_active(stream, monitor)
    if stored is None:
        raise StateError(f"{stream}/{monitor}: nothing is enrolled", fix="`edged references show` tells what is")
    key = DeviceKey(state_dir)
    data = packed(stored, key)
    write_new(out, data)
    return {
        "stream": stream,
        "monitor": monitor,
        "version": stored.version,
        "file": str(out),
        "bytes": len(data),
        "signer": key.public,
    }


def import_bank(
    assembly: Assembly,
    store: BankStore,
    state_dir: Path,
    stream: str,
    path: Path,
    *,
    signer: str | None = None,
    dry_run: bool = False,
) -> dict[str, Any]:
    """Make an archive's bank the active one of a stream; the one before stays for a roll-back.

    Args:
        signer: a public key to trust for this import, or a file with it.
        dry_run: check everything, change nothing.

    Raises:
        EnrolmentError: the archive is damaged, of nobody trusted, or does not fit; nothing has changed.
        StateError: it was made with another bundle, or the database refused; nothing has changed.
    """
    trusted = trusted_signers(state_dir) | (frozenset({given_signer(signer)}) if signer else frozenset())
    archive = read_archive(path, trusted)
    manifest = archive.manifest
    labels = _check_bank(archive, assembly.bundle(stream, manifest.monitor), stream, path)
    old = store.active_version(stream, manifest.monitor)
    version = old
    if not dry_run:
        reason = f"imported {manifest.stream} version {manifest.version}"
        version = store.commit(stream, manifest.monitor, archive.facts, archive.arrays, reason=reason, based_on=old)
    return {
        "stream": stream,
        "monitor": manifest.monitor,
        "version": version,
        "version_before": old,
        "dry_run": dry_run,
        "labels": labels,
        "from": {"stream": manifest.stream, "version": manifest.version, "created_at": manifest.created_at},
        "signer": manifest.signer,
    }


def _check_bank(archive: Archive, bundle: Bundle, stream: str, path: Path) -> dict[str, int]:
    """Build the bank and use it once; clips per label.

    Raises:
        StateError: it belongs to another bundle.
        EnrolmentError: what was signed is no bank that this version of edged can use.
    """
    manifest = archive.manifest
    stored = StoredBank(stream, manifest.monitor, 1, manifest.created_at, "", archive.facts, archive.arrays)
    build = _anomaly_labels if manifest.monitor == "anomaly" else _keyword_labels
    try:
        return build(stored, bundle)
    except StateError:
        raise
    except (EdgedError, KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        what = f"{path}: no bank that this version of edged can use: {type(error).__name__}: {error}"
        raise EnrolmentError(what, fix="export it again with the same version of edged") from error


def _anomaly_labels(stored: StoredBank, bundle: Bundle) -> dict[str, int]:
    bank = anomaly.bank_of_store(stored, bundle)
    anomaly.check_scoring(bundle, bank.scoring)
    _check_records(bank.clips)
    first = next(iter(bank.references.values()))
    numbers = first.clips // anomaly.PIECES_PER_CLIP
    if len(first) > anomaly.MAX_ROWS or not ((numbers >= 0) & (numbers < len(bank.clips))).all():
        raise ValueError(f"{len(first)} rows, or rows of clips that are not listed")
    for spec in bundle.manifest.representations:
        for vectors in (bank.references[spec.name].vectors, *(one.vectors[spec.name] for one in bank.labelled)):
            if vectors.ndim != 2 or vectors.shape[1] != spec.dim:
                raise ValueError(f"'{spec.name}' is not of {spec.dim} values")
        if len(bank.references[spec.name]) != len(first):
            raise ValueError(f"'{spec.name}' has other rows")
    _check_scores(bank, len(first))
    return bank.domains


def _check_scores(bank: anomaly.AnomalyBank, n_rows: int) -> None:
    """What the daemon will do with it must not fail there: score, compare, set a threshold."""
    scorer, vectors = bank.scorer, {name: references.vectors for name, references in bank.references.items()}
    if len(scorer.domains) != n_rows or scorer.normal_scores.shape != (n_rows,):
        raise ValueError("scores of other rows")
    nearest = scorer.score({name: rows[0] for name, rows in vectors.items()}).reference_index
    levels = [bank.threshold, *(one.score(scorer) for one in bank.labelled)]
    levels += [] if bank.ceiling is None else [bank.ceiling]
    if not (np.isfinite(scorer.scores(vectors)).all() and np.isfinite(levels).all() and 0 <= nearest < n_rows):
        raise ValueError("scores that are not finite")
    if not np.isfinite(scorer.normal_scores).any():
        raise ValueError("no scores of normal sound")


def _check_records(records: Sequence[ClipRecord]) -> None:
    """Labels go into topics, events and logs; what is said of the levels is compared with those of the input."""
    for record in records:
        texts = (record.name, record.sha256, record.enrolled_at, record.event)
        if not all(isinstance(text, str) for text in texts):
            raise ValueError("facts of clips that are no texts")
        _check_names([record.label])
        heard = () if record.heard is None else astuple(record.heard)
        if not all(isinstance(value, int | float) and np.isfinite(value) for value in (record.duration_s, *heard)):
            raise ValueError("levels that are no numbers")


def _keyword_labels(stored: StoredBank, bundle: Bundle) -> dict[str, int]:
    bank = keyword.bank_of_store(stored, bundle)
    _check_records(bank.clips)
    dim = bundle.manifest.representations[0].dim
    if not 0 < len(bank.templates) <= keyword.MAX_TEMPLATES:
        raise ValueError(f"{len(bank.templates)} templates")
    counters = [template for one in bank.counters for template in one.templates]
    if len(counters) > keyword.MAX_TEMPLATES or bool(bank.verifier) != bool(bank.counters):
        raise ValueError(f"{len(counters)} templates of counter-examples")
    for one in bank.counters:
        _check_records(one.clips)
    _check_names([*bank.averaged, *(name for one in bank.counters for name in (one.word, one.name))])
    verified = bank.verifier.templates if bank.verifier else ()
    for template in (*bank.templates, *bank.model.templates, *counters, *verified):
        if template.ndim != 2 or not len(template) or template.shape[1] != dim or not np.isfinite(template).all():
            raise ValueError(f"templates that are not rows of {dim} finite values")
    _check_spotting(bank.model, dim)
    if bank.verifier:
        _check_spotting(bank.verifier, dim)
    return bank.words


def _check_names(names: Sequence[Any]) -> None:
    if not all(isinstance(name, str) and name and name.isprintable() for name in names):
        raise ValueError("labels that cannot be printed")


def _check_spotting(model: KeywordModel, dim: int) -> None:
    """What the daemon will do with it must not fail there: warp, combine, compare with a limit."""
    is_positive = model.ordinary.shape == (len(model.words),) and bool((model.ordinary > 0.0).all())
    if not is_positive or not model.limit > 0.0 or not model.brevity_weight >= 0.0:
        raise ValueError("distances that would be below 0, or a limit that is")
    with np.errstate(all="ignore"):
        noise = np.random.default_rng(0).standard_normal((_PROBE_FRAMES, dim)).astype(np.float32)
        distances, _ = model.combine(StreamingDtw(model.templates).push(noise))
        levels = np.concatenate([model.word_frames, model.limits()])
    if distances.shape != (_PROBE_FRAMES, len(model.words)) or np.isnan(distances).any():
        raise ValueError("distances that are no numbers")
    if not np.isfinite(levels).all():
        raise ValueError("words without templates, or limits that are no numbers")


def write_new(path: Path, data: bytes) -> None:
    """A new file, whole or not at all; an existing one is never touched.

    Raises:
        EnrolmentError: it exists, or cannot be written.
    """
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640)
        try:
            with os.fdopen(descriptor, "wb") as handle:
                handle.write(data)
                handle.flush()
                os.fsync(handle.fileno())
            _give_name(unfinished, path)
        finally:
            unfinished.unlink(missing_ok=True)
    except FileExistsError as error:
        raise EnrolmentError(f"{path}: exists already", fix="name another file, or remove it") from error
    except OSError as error:
        raise EnrolmentError(f"{path}: {error.strerror or error}", fix="name a place that can be written") from error


def _give_name(unfinished: Path, path: Path) -> None:
    """Name a whole file, if the name is free; a memory stick knows no hard links, so there it is taken first."""
    try:
        path.hardlink_to(unfinished)
    except FileExistsError:
        raise
    except OSError:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640))
        unfinished.replace(path)
