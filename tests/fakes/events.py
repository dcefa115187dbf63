"""Events as a daemon makes them, with nothing but a number that matters."""

from edged.events.schema import AnomalyEvent, BundleRef, StatusEvent


def onset(seq, **more):
    facts = {"sample_start": 0, "sample_end": 1, "onset_s": 0, "score": 9.0, "threshold": 5.0, "bank": 1}
    bundle = BundleRef(id="x", digest="d")
    return AnomalyEvent(kind="onset", boot="b", time="t", stream="a", bundle=bundle, seq=seq, **facts, **more)


def status(number):
    return StatusEvent(boot="b", time="t", stream="a", subject="capture", state=str(number))
