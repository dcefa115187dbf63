"""One connection to a broker: the only module that knows paho. It belongs to one thread and keeps nothing.

What the broker has not acknowledged when the connection ends is sent again by whoever holds the cursor.
"""

from __future__ import annotations

import logging
import ssl
import time
from typing import Any

from edged.bridge.topics import Message
from edged.config import MqttSettings
from edged.errors import EdgedError, UsageError

try:
    import paho.mqtt.client as mqtt
    from paho.mqtt.enums import CallbackAPIVersion
    from paho.mqtt.packettypes import PacketTypes
    from paho.mqtt.properties import Properties
    from paho.mqtt.reasoncodes import ReasonCode
    from paho.mqtt.subscribeoptions import SubscribeOptions
except ImportError as error:
    raise UsageError("the MQTT bridge needs paho-mqtt", fix="pip install 'edged[mqtt]'") from error

_log = logging.getLogger(__name__)

CONNECT_WITHIN_S = 10.0
KEEPALIVE_S = 30
SESSION_EXPIRY_S = 7 * 86400
_INFLIGHT = 10
"""Messages that wait for their acknowledgement at once; brokers take 20 or more."""
_MOST_FOUND = 10_000


class LinkError(EdgedError):
    """The broker cannot be reached, or refuses: it is tried again."""


class Link:
    """Connects when made; ends with `close`, or by itself with a LinkError.

    Args:
        client_id: unique at the broker; another connection of this name ends this one.
        will: what the broker says when we are gone.

    Raises:
        LinkError: there is no connection.
    """

    def __init__(
        self,
        settings: MqttSettings,
        client_id: str,
        will: Message,
        *,
        tls: ssl.SSLContext | None = None,
        password: str | None = None,
    ) -> None:
        self._address = f"{settings.host}:{settings.port}"
        self._acknowledged: list[int] = []
        self._found: set[str] = set()
        self._is_connected = False
        self._failure = ""
        self._largest_bytes: int | None = None
        self.too_large = 0
        self._client = client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id, protocol=mqtt.MQTTv5)
        client.on_connect, client.on_disconnect, client.on_publish = self._connected, self._ended, self._published
        client.on_message = self._received
        client.max_inflight_messages_set(_INFLIGHT)
        client.connect_timeout = CONNECT_WITHIN_S
        if tls is not None:
            client.tls_set_context(tls)
        if settings.user is not None:
            client.username_pw_set(settings.user, password)
        client.will_set(will.topic, will.payload, will.qos, will.retain)
        self._connect(settings)

    def publish(self, message: Message) -> int | None:
        """Send; the number that `take_acknowledged` will give, or None: nobody will acknowledge it.

        Raises:
            LinkError: the connection is lost.
        """
        if self._largest_bytes is not None and len(message.payload) + len(message.topic) + 64 > self._largest_bytes:
            self.too_large += 1
            _log.error("%s: %d bytes are more than the broker takes", message.topic, len(message.payload))
            return None
        info = self._client.publish(message.topic, message.payload, message.qos, message.retain)
        if info.rc != mqtt.MQTT_ERR_SUCCESS:
            raise self._lost(mqtt.error_string(info.rc))
        return int(info.mid) if message.qos else None

    def find(self, topics: str) -> None:
        """Ask what the broker keeps under such topics, for `take_found`; one that refuses to tell, tells nothing.

        Raises:
            LinkError: the connection is lost.
        """
        result, _ = self._client.subscribe(topics, options=SubscribeOptions(qos=1, noLocal=True))
        if result != mqtt.MQTT_ERR_SUCCESS:
            raise self._lost(mqtt.error_string(result))

    def take_found(self) -> set[str]:
        """Topics under which the broker keeps something, since the last time."""
        taken, self._found = self._found, set()
        return taken

    def turn(self, wait_s: float) -> None:
        """Send and receive what there is, waiting at most so long for something.

        Raises:
            LinkError: the connection is lost, or the broker refused a message.
        """
        result = self._client.loop(wait_s)
        if self._failure or result != mqtt.MQTT_ERR_SUCCESS:
            raise self._lost(mqtt.error_string(result))

    def take_acknowledged(self) -> list[int]:
        """Messages that the broker has, since the last time."""
        taken, self._acknowledged = self._acknowledged, []
        return taken

    def close(self) -> None:
        """End the connection; whatever the reason was, the broker then says that we are gone."""
        self._client.disconnect(ReasonCode(PacketTypes.DISCONNECT, "Disconnect with will message"))
        self._client.loop(0.0)

    def _connect(self, settings: MqttSettings) -> None:
        session = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        session.SessionExpiryInterval = SESSION_EXPIRY_S
        deadline_s = time.monotonic() + CONNECT_WITHIN_S
        try:
            self._client.connect(str(settings.host), settings.port, KEEPALIVE_S, clean_start=False, properties=session)
        except (OSError, ValueError) as error:
            raise self._lost(str(error)) from error
        while not self._is_connected:
            self.turn(0.2)
            if not self._is_connected and time.monotonic() > deadline_s:
                raise self._lost("no answer")

    def _lost(self, reason: str) -> LinkError:
        return LinkError(f"broker {self._address}: {self._failure or reason}")

    # -- what paho calls, from within `turn` and `publish` -------------------------------------------------------------

    def _connected(self, _client: Any, _data: Any, _flags: Any, reason: Any, properties: Any) -> None:
        if reason.is_failure:
            self._failure = f"refuses the connection: {reason}"
            return
        self._is_connected = True
        self._largest_bytes = getattr(properties, "MaximumPacketSize", None)

    def _ended(self, _client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        self._failure = self._failure or f"ended the connection: {reason}"

    def _received(self, _client: Any, _data: Any, message: Any) -> None:
        if message.payload and len(self._found) < _MOST_FOUND:
            self._found.add(message.topic)

    def _published(self, _client: Any, _data: Any, message_id: int, reason: Any, _properties: Any) -> None:
        if reason.is_failure:  # an alarm that the broker does not take is not delivered
            self._failure = f"refuses a message: {reason}; see its access rules for our topics"
            return
        self._acknowledged.append(message_id)
