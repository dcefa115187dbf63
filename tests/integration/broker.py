"""A real mosquitto, for as long as a test needs it; certificates of an authority of our own; a listener."""

import datetime
import ipaddress
import json
import shutil
import socket
import subprocess
import threading
import time
from contextlib import contextmanager

import pytest

MOSQUITTO = shutil.which("mosquitto") or shutil.which("/usr/sbin/mosquitto")
needs_mosquitto = pytest.mark.skipif(MOSQUITTO is None, reason="mosquitto is missing: apt install mosquitto")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Broker:
    """Keeps its port and what is retained over restarts."""

    def __init__(self, directory, *lines):
        self.port = free_port()
        self.file = directory / "mosquitto.conf"
        own = ["user root", "persistence true", f"persistence_location {directory}/", f"listener {self.port} 127.0.0.1"]
        self.file.write_text("\n".join([*own, *(lines or ["allow_anonymous true"])]))
        self.process = None

    def start(self):
        self.process = subprocess.Popen(
            [MOSQUITTO, "-c", self.file], stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT
        )
        deadline_s = time.monotonic() + 20.0
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1.0).close()
                return
            except OSError:
                assert self.process.poll() is None, "mosquitto ended"
                assert time.monotonic() < deadline_s
                time.sleep(0.05)

    def stop(self):
        self.process.terminate()
        self.process.wait(20.0)

    @contextmanager
    def running(self):
        self.start()
        try:
            yield self
        finally:
            self.stop()


class Ear:
    """Everything that a subscriber is given, by topic; inside `with` it misses nothing."""

    def __init__(self, port, topic="#", tls=None, **login):
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion

        self.heard = []
        self._changed, self._listens = threading.Condition(), threading.Event()
        self._client = Client(CallbackAPIVersion.VERSION2)
        if tls:
            self._client.tls_set_context(tls)
        if login:
            self._client.username_pw_set(**login)
        self._client.on_message = self._take
        self._client.on_connect = lambda client, *_: client.subscribe(topic, 1)
        self._client.on_subscribe = lambda *_: self._listens.set()
        self._client.connect("localhost" if tls else "127.0.0.1", port)
        self._client.loop_start()

    def __enter__(self):
        assert self._listens.wait(20.0)
        return self

    def __exit__(self, *_):
        self._client.disconnect()
        self._client.loop_stop()

    def _take(self, _client, _data, message):
        with self._changed:
            self.heard.append((message.topic, message.payload))
            self._changed.notify_all()

    def wait_for(self, wanted, timeout_s=30.0):
        with self._changed:
            assert self._changed.wait_for(lambda: wanted(self.heard), timeout_s), self.heard[-20:]

    def last(self, topic):
        return next((payload for name, payload in reversed(self.heard) if name == topic), None)

    def events(self, kinds=("anomaly", "keyword", "status")):
        return [json.loads(p) for topic, p in self.heard if topic.split("/")[2:3] and topic.split("/")[2] in kinds
                and p.startswith(b"{")]  # fmt: skip


def make_certificates(directory):
    """An authority, a broker's certificate for localhost, and a client's, as PEM files."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    now = datetime.datetime.now(datetime.timezone.utc)

    def name(text):
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    def write(label, certificate, key):
        (directory / f"{label}.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        path = directory / f"{label}.key"
        path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        path.chmod(0o600)

    def sign(label, issuer, issuer_key, is_authority=False):
        key = ec.generate_private_key(ec.SECP256R1())
        names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name(label)).issuer_name(issuer or name(label)).public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1)).not_valid_after(now + datetime.timedelta(days=2))
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .sign(issuer_key or key, hashes.SHA256())
        )  # fmt: skip
        write(label, certificate, key)
        return certificate, key

    authority, authority_key = sign("authority", None, None, is_authority=True)
    sign("broker", authority.subject, authority_key)
    sign("client", authority.subject, authority_key)
    sign("stranger", None, None, is_authority=True)
    return directory
