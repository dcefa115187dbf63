"""What Home Assistant is told, so that a device and its streams appear there by themselves.

A binary sensor for each stream's anomaly, a sensor for its score, an event for each of its words; all are available
while bridge and daemon are. The messages are retained: whoever starts later finds them. The broker gives them to the
bridge too, which so knows what was described once and is there no more: an empty message removes it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from edged.bridge.topics import Message, Topics, identifier
from edged.bridge.translate import OFF, OFFLINE, ON, ONLINE

_EXPIRE_AFTER_INTERVALS = 5


class Discovery:
    """Of one device.

    Args:
        prefix: where Home Assistant looks.
        scores_every_s: 0 = there are no scores.
    """

    def __init__(self, prefix: str, topics: Topics, scores_every_s: float, version: str) -> None:
        self._prefix, self._topics, self._scores_every_s = prefix, topics, scores_every_s
        self._node = f"edged_{identifier(topics.device)}"
        self._shared = {
            "availability": [
                {
                    "topic": topic,
                    "payload_available": ONLINE.decode(),
                    "payload_not_available": OFFLINE.decode(),
                }
                for topic in (topics.bridge, topics.daemon)
            ],
            "availability_mode": "all",
            "qos": 1,
            "device": {
                "identifiers": [self._node],
                "name": topics.device,
                "manufacturer": "edged",
                "model": "edged",
                "sw_version": version,
            },
            "origin": {"name": "edged", "sw_version": version},
        }

    @property
    def every_topic(self) -> str:
        """What to subscribe to for all that was ever described of this device."""
        return f"{self._prefix}/+/{self._node}/+/config"

    def messages(self, streams: Mapping[str, Sequence[str]], words: Mapping[str, Sequence[str]]) -> list[Message]:
        """All of them.

        Args:
            streams: the monitors of each stream.
            words: what is enrolled, by stream.
        """
        found = []
        for stream, monitors in streams.items():
            if "anomaly" in monitors:
                found += self._anomaly(stream)
            found += [self._word(stream, word) for word in words.get(stream, ())]
        return found

    def _anomaly(self, stream: str) -> list[Message]:
        topics = self._topics
        told = [
            self._message(
                "binary_sensor",
                (stream, "anomaly"),
                name=f"{stream} anomaly",
                device_class="problem",
                state_topic=topics.anomaly_state(stream),
                payload_on=ON.decode(),
                payload_off=OFF.decode(),
                json_attributes_topic=topics.anomaly(stream),
            )
        ]
        if self._scores_every_s:
            told.append(
                self._message(
                    "sensor",
                    (stream, "score"),
                    name=f"{stream} anomaly score",
                    state_class="measurement",
                    state_topic=topics.score(stream),
                    value_template="{{ value_json.score }}",
                    expire_after=round(_EXPIRE_AFTER_INTERVALS * max(self._scores_every_s, 60.0)),
                )
            )
        return told

    def _word(self, stream: str, word: str) -> Message:
        return self._message(
            "event",
            (stream, "keyword", word),
            name=f"{stream} {word}",
            state_topic=self._topics.keyword(stream, word),
            event_types=["spoken"],
            value_template=(
                "{{ {'event_type': 'spoken', 'score': value_json.score, 'onset_s': value_json.onset_s,"
                " 'seq': value_json.seq} | tojson }}"
            ),
        )

    def _message(self, component: str, names: tuple[str, ...], **facts: Any) -> Message:
        entity = "_".join(identifier(name) for name in names)
        body = {"unique_id": f"{self._node}_{entity}", **facts, **self._shared}
        topic = f"{self._prefix}/{component}/{self._node}/{entity}/config"
        return Message(topic, json.dumps(body, ensure_ascii=False).encode(), retain=True)
