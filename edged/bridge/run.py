"""The bridge: from the daemon's journal to the broker, one connection after the other.

    journal + live events -> subscriber -> translate -> window of unacknowledged -> broker
                                 ^                            |
                                 +------ cursor file <--------+ acknowledged, in order

The journal is the store. While the broker is away nothing is read and nothing is held; a new connection goes on after
the last event that the broker has acknowledged. An event may therefore come twice (its `seq` tells), never not at all
as long as the journal has it. Scores are never sent late: those of the time without a broker are not asked for.
"""

from __future__ import annotations

import logging
import signal
import threading
import time
from pathlib import Path
from typing import Any

from edged import __version__
from edged.bridge.backoff import Backoff
from edged.bridge.discovery import Discovery
from edged.bridge.link import Link, LinkError
from edged.bridge.secrets import read_password, tls_context
from edged.bridge.topics import Message, Topics, device_name
from edged.bridge.translate import OFFLINE, ONLINE, Liveness, Translator
from edged.bridge.window import Window
from edged.config import Config
from edged.control.client import ControlClient
from edged.errors import ConfigError, EdgedError, StateError, UsageError
from edged.events.cursor import CursorFile, Position
from edged.events.schema import HEARTBEAT_TOPIC
from edged.events.subscriber import Subscriber
from edged.observe.notify import READY, STOPPING, notify

_log = logging.getLogger(__name__)

CURSOR_NAME = "mqtt-cursor.json"
_BUSY_S, _IDLE_S = 0.02, 0.25
_SAVE_EVERY_S = 1.0
_LOOK_EVERY_S = 60.0
_GOODBYE_WITHIN_S = 2.0
_ANSWER_WITHIN_S, _CONNECT_WITHIN_S = 5.0, 1.0
_JOURNALLED = ("anomaly.", "keyword.", "status.")


def run(config: Config) -> int:
    """Bridge until SIGTERM or Ctrl-C; the exit code.

    Raises:
        ConfigError: the configuration names no broker, or its secrets cannot be used.
    """
    bridge = MqttBridge(config)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: bridge.stop())
    notify(READY, f"STATUS=broker {config.mqtt.host}:{config.mqtt.port}")
    try:
        bridge.run()
    finally:
        notify(STOPPING)
    return 0


class MqttBridge:
    """One bridge; runs on the thread that calls `run`.

    Raises:
        ConfigError: no broker is configured, or its secrets cannot be used.
    """

    def __init__(self, config: Config, backoff: Backoff | None = None) -> None:
        settings = config.mqtt
        if settings.host is None:
            raise ConfigError("mqtt.host: no broker is configured", fix="name it in the section `mqtt`")
        self._config, self._settings = config, settings
        self._password = read_password(settings.password_file) if settings.password_file else None
        self._tls = tls_context(settings)
        self._topics = Topics(settings.topic_prefix, device_name(settings.device))
        self._translator = Translator(self._topics, settings.scores_every_s)
        prefix, every_s = settings.discovery_prefix, settings.scores_every_s
        self.discovery = None if prefix is None else Discovery(prefix, self._topics, every_s, __version__)
        self._cursor = CursorFile(_writable(config.state_path) / CURSOR_NAME)
        self._position = self._cursor.load()
        self._saved_s = 0.0
        self._backoff = backoff or Backoff()
        self._stopping = threading.Event()
        self.connections = 0
        self.missed = 0

    def stop(self) -> None:
        """From any thread or signal handler."""
        self._stopping.set()

    def run(self) -> None:
        """Until told to stop."""
        while not self._stopping.is_set():
            self._position = self._position or self._asked_position()
            self._save()  # a first run that is killed before the broker has anything is to go on, not to begin anew
            try:
                self._live()
            except LinkError as error:
                pause_s = self._backoff.next_s()
                _log.warning("%s; trying again in %.0f s", error, pause_s)
                self._stopping.wait(pause_s)
            finally:
                self._save()
        self._cursor.close()

    # -- one connection ------------------------------------------------------------------------------------------------

    def _live(self) -> None:
        will = Message(self._topics.bridge, OFFLINE, retain=True)
        link = Link(self._settings, f"edged-{self._topics.device}", will, tls=self._tls, password=self._password)
        self.connections += 1
        _log.info("connected to %s:%d", self._settings.host, self._settings.port)
        topics = [*_JOURNALLED, HEARTBEAT_TOPIC, *(["score."] if self._settings.scores_every_s else [])]
        endpoints = self._config.events_endpoint, topics, self._config.control_endpoint
        try:
            with Subscriber(*endpoints, after_seq=self._position) as subscriber:
                _Connection(self, link, subscriber).serve()
        finally:
            link.close()

    def acknowledged(self, position: Position) -> None:
        """The broker has everything up to here."""
        self._position = position
        self._backoff.worked()
        if time.monotonic() - self._saved_s > _SAVE_EVERY_S:
            self._save()

    def started_at(self, position: Position) -> None:
        """Where a first run begins."""
        if self._position is None:
            self._position = position
            self._save()

    def _save(self) -> None:
        """A disk that refuses stops no alarm: a bridge that starts anew then sends some of them twice."""
        self._saved_s = time.monotonic()
        if self._position is None:
            return
        try:
            self._cursor.save(self._position)
        except UsageError as error:
            _log.warning("%s; going on without", error)

    # -- asking the daemon ---------------------------------------------------------------------------------------------

    def _asked_position(self) -> Position | None:
        """A first run begins with what happens from now on; None: the daemon is not there yet."""
        answer = self.ask("events.replay", {"after": 0, "limit": 1})
        return Position(answer["last_seq"], answer["journal"]) if answer else None

    def ask(self, verb: str, args: dict[str, Any] | None = None) -> dict[str, Any] | None:
        """The daemon's answer, or None: there is none."""
        endpoint = self._config.control_endpoint
        try:
            with ControlClient(endpoint, _ANSWER_WITHIN_S, connect_within_s=_CONNECT_WITHIN_S) as client:
                return client.call(verb, args)
        except EdgedError:
            return None

    def described(self) -> tuple[list[Message], bool]:
        """What Home Assistant should know now, and whether that is all: not while the daemon does not answer."""
        streams = {
            name: [monitor for monitor in ("anomaly", "keyword") if getattr(stream.monitors, monitor) is not None]
            for name, stream in self._config.streams.items()
        }
        self._translator.know(set(streams))
        if self.discovery is None:
            return [], True
        listening = [stream for stream, monitors in streams.items() if "keyword" in monitors]
        words = self._words(listening)
        return self.discovery.messages(streams, words), len(words) == len(listening)

    def _words(self, streams: list[str]) -> dict[str, list[str]]:
        """What is enrolled; a daemon that does not answer is not asked for every stream, as alarms wait meanwhile."""
        words = {}
        for stream in streams:
            shown = self.ask("references.show", {"stream": stream})
            if shown is None:
                break
            keyword = shown.get("monitors", {}).get("keyword") or {}
            words[stream] = [str(word) for word in keyword.get("labels", {})]
        return words

    @property
    def topics(self) -> Topics:
        """The device's."""
        return self._topics

    @property
    def translator(self) -> Translator:
        """What it knows lasts over connections."""
        return self._translator

    @property
    def is_stopping(self) -> bool:
        """Whether somebody said so."""
        return self._stopping.is_set()


class _Connection:
    """The time between connecting and losing the broker."""

    def __init__(self, bridge: MqttBridge, link: Link, subscriber: Subscriber) -> None:
        self._bridge, self._link, self._subscriber = bridge, link, subscriber
        self._window = Window()
        self._liveness = Liveness(bridge.topics.daemon, time.monotonic())
        self._told: dict[str, bytes] = {}
        self._described: set[str] = set()
        self._to_describe: set[str] | None = None  # None = not all of it is known
        self._look_at_s = 0.0

    def serve(self) -> None:
        """Forward until told to stop.

        Raises:
            LinkError: the broker is lost.
        """
        self._send([Message(self._bridge.topics.bridge, ONLINE, retain=True)])
        if self._bridge.discovery is not None:
            self._link.find(self._bridge.discovery.every_topic)
        while not self._bridge.is_stopping:
            self._look()
            if self._window.is_full:
                self._turn(_IDLE_S)
                continue
            event = self._subscriber.receive(_BUSY_S if len(self._window) else _IDLE_S)
            if event is not None:
                self._forward(event)
            self._turn(0.0)
        self._say_goodbye()

    def _forward(self, event: dict[str, Any]) -> None:
        now_s = time.monotonic()
        if "seq" in event:
            self._bridge.started_at(Position(max(0, event["seq"] - 1), event.get("journal", "")))
            messages = self._bridge.translator.messages(event, now_s)
            self._send(messages, self._subscriber.position)
            if event.get("subject") == "bank":  # words may have come or gone
                self._look_at_s = 0.0
            return
        self._send(self._bridge.translator.messages(event, now_s))
        self._send(self._liveness.heard(event, now_s))

    def _send(self, messages: list[Message], position: Position | None = None) -> None:
        numbers = {number for message in messages if (number := self._link.publish(message)) is not None}
        if numbers or position:
            self._window.sent(position, numbers)

    def _turn(self, wait_s: float) -> None:
        try:
            self._link.turn(wait_s)
        finally:  # what was acknowledged just before the end is not sent again
            self._note_acknowledged()

    def _note_acknowledged(self) -> None:
        for number in self._link.take_acknowledged():
            self._window.acknowledged(number)
        position = self._window.take_position()
        if position is not None:
            self._bridge.acknowledged(position)

    def _look(self) -> None:
        """Now and then: is the daemon heard, what streams and words are there, was anything missed?"""
        now_s = time.monotonic()
        self._send(self._liveness.tick(now_s))
        self._remove_descriptions()
        if now_s < self._look_at_s:
            return
        self._look_at_s = now_s + _LOOK_EVERY_S
        described, is_all = self._bridge.described()
        for message in described:
            if self._told.get(message.topic) != message.payload:
                self._told[message.topic] = message.payload
                self._send([message])
        self._to_describe = {message.topic for message in described} if is_all else None
        missed = self._subscriber.missed
        if missed > self._bridge.missed:
            _log.error("%d events had left the journal before the broker could have them", missed)
            self._bridge.missed = missed

    def _remove_descriptions(self) -> None:
        """Of words and streams that are not there any more, whenever and by whatever run they were described."""
        self._described |= self._link.take_found() | self._told.keys()
        if self._to_describe is None:
            return
        for topic in sorted(self._described - self._to_describe):
            self._described.discard(topic)
            self._told.pop(topic, None)
            self._send([Message(topic, b"", retain=True)])

    def _say_goodbye(self) -> None:
        """A last word instead of the will, once what is on its way has arrived."""
        self._send([Message(self._bridge.topics.bridge, OFFLINE, retain=True)])
        until_s = time.monotonic() + _GOODBYE_WITHIN_S
        while len(self._window) and time.monotonic() < until_s:
            self._turn(0.1)


def _writable(state: Path) -> Path:
    try:
        state.mkdir(parents=True, exist_ok=True, mode=0o750)
    except OSError as error:
        raise StateError(f"{state}: {error.strerror}", fix="check owner and permissions, or set state_dir") from error
    return state
