"""A bank as one signed file, so that a device's references can go to its siblings.

    bank.edged-bank (zip, nothing compressed)
        manifest.json    what it is: monitor, bundle, who signed; sha256 and size of the parts
        signature        Ed25519 of manifest.json
        facts.json       the bank's facts
        arrays.npz       the bank's arrays

Nothing is believed before the signature is: who signed must be trusted, then the parts must be what was signed, then
they must be a bank of the bundle in use. Members are stored, not compressed, and of fixed names: such a file cannot
unpack to more than its size, nor to another place.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

import numpy.lib.format as npy
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edged.errors import EnrolmentError
from edged.references.search import printable_name
from edged.references.signing import SIGNATURE_BYTES, DeviceKey, is_signed_by
from edged.references.store import StoredBank, pack_arrays, unpack_arrays

MAX_ARCHIVE_BYTES = 256 << 20
_MAX_MANIFEST_BYTES = 64 << 10
_MAX_DIRECTORY_BYTES = 4096
_ZIP_END, _ZIP64_LOCATOR = struct.Struct("<4s4H2LH"), struct.Struct("<4sLQL")
_MANIFEST, _SIGNATURE, _FACTS, _ARRAYS = "manifest.json", "signature", "facts.json", "arrays.npz"
_MEMBERS = {_MANIFEST, _SIGNATURE, _FACTS, _ARRAYS}
_COPY_AGAIN = "export it again, and copy it whole"


class Part(BaseModel):
    """One signed file of the archive."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size: int = Field(ge=0, le=MAX_ARCHIVE_BYTES)


class ArchiveManifest(BaseModel):
    """What is signed.

    Attributes:
        stream: where it was exported; it may be imported into any.
        version: of the bank there.
        bundle_digest: the bundle whose embeddings it holds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    stream: str = Field(max_length=64)
    monitor: Literal["anomaly", "keyword"]
    version: int = Field(ge=1)
    created_at: str = Field(max_length=64)
    bundle: str = Field(max_length=256)
    bundle_digest: str = Field(max_length=128)
    signer: str = Field(max_length=128)
    parts: dict[str, Part]


@dataclass(frozen=True)
class Archive:
    """A verified archive: its parts are what a trusted key signed."""

    manifest: ArchiveManifest
    facts: dict[str, Any]
    arrays: Mapping[str, NDArray[Any]]


def packed(stored: StoredBank, key: DeviceKey) -> bytes:
    """A stored bank as an archive, signed by this device."""
    parts = {_FACTS: json.dumps(dict(stored.facts)).encode(), _ARRAYS: pack_arrays(stored.arrays)}
    manifest = ArchiveManifest.model_validate(
        {
            "stream": stored.stream,
            "monitor": stored.monitor,
            "version": stored.version,
            "created_at": stored.created_at,
            "bundle": stored.facts["bundle"],
            "bundle_digest": stored.facts["bundle_digest"],
            "signer": key.public,
            "parts": {name: _part_of(data) for name, data in parts.items()},
        }
    )
    signed = manifest.model_dump_json(indent=1).encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, data in {_MANIFEST: signed, _SIGNATURE: key.sign(signed), **parts}.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    return buffer.getvalue()


def read_archive(path: Path, trusted: frozenset[str]) -> Archive:
    """Read and verify an archive.

    Args:
        trusted: public keys of those whose references are taken.

    Raises:
        EnrolmentError: it is no archive, damaged or altered, or nobody trusted signed it; nothing of it was used.
    """
    manifest, members = _signed(path, trusted)
    for name, part in manifest.parts.items():
        if _part_of(members[name]) != part.model_dump():
            raise EnrolmentError(f"{path}: {name} was altered", fix=_COPY_AGAIN)
    try:
        return Archive(manifest, json.loads(members[_FACTS]), unpack_arrays(_bounded_npz(members[_ARRAYS])))
    except (ValueError, KeyError, OSError, RuntimeError, zipfile.BadZipFile) as error:
        raise EnrolmentError(f"{path}: its parts cannot be read: {error}", fix=_COPY_AGAIN) from error


def _part_of(data: bytes) -> dict[str, Any]:
    return {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}


def _signed(path: Path, trusted: frozenset[str]) -> tuple[ArchiveManifest, dict[str, bytes]]:
    """The manifest, and the parts, which are read when it is known who signed; none is larger than the file is."""
    try:
        size = path.stat().st_size
        if not path.is_file() or size > MAX_ARCHIVE_BYTES:
            raise EnrolmentError(f"{path}: no archive of references: {size >> 20} MiB, or no plain file")
        with path.open("rb") as file:
            _check_directory(path, file)
            with zipfile.ZipFile(file) as archive:
                _check_members(path, archive.infolist(), size)
                signed = archive.read(_MANIFEST)
                manifest = _manifest_of(path, signed)
                _check_signature(path, manifest, archive.read(_SIGNATURE), signed, trusted)
                return manifest, {name: archive.read(name) for name in manifest.parts}
    except OSError as error:
        raise EnrolmentError(f"{path}: {error.strerror or error}", fix="check path and permissions") from error
    except (zipfile.BadZipFile, ValueError, EOFError, RuntimeError) as error:
        raise EnrolmentError(f"{path}: no archive of references, or damaged: {error}", fix=_COPY_AGAIN) from error


def _check_directory(path: Path, file: IO[bytes]) -> None:
    """Refuse a list of members that is longer than that of any bank: zipfile would read millions into memory."""
    length = _ZIP64_LOCATOR.size + _ZIP_END.size
    file.seek(max(file.seek(0, io.SEEK_END) - length, 0))
    tail = file.read(length).rjust(length, b"\0")
    signature, *_, directory_bytes, _, comment_bytes = _ZIP_END.unpack(tail[_ZIP64_LOCATOR.size :])
    is_plain = signature == b"PK\5\6" and comment_bytes == 0 and tail[:4] != b"PK\6\7"
    if not is_plain or directory_bytes > _MAX_DIRECTORY_BYTES:
        raise EnrolmentError(f"{path}: no archive of references, or damaged", fix=_COPY_AGAIN)
    file.seek(0)


def _check_members(path: Path, infos: list[zipfile.ZipInfo], archive_bytes: int) -> None:
    names = [info.filename for info in infos]
    if len(names) != len(_MEMBERS) or set(names) != _MEMBERS:
        raise EnrolmentError(f"{path}: no archive of references: it holds {printable_name(', '.join(names))[:200]}")
    is_plain = all(info.compress_type == zipfile.ZIP_STORED and info.compress_size == info.file_size for info in infos)
    if not is_plain or sum(info.file_size for info in infos) > archive_bytes:
        raise EnrolmentError(f"{path}: its members are compressed, which edged never does", fix=_COPY_AGAIN)
    sizes = {info.filename: info.file_size for info in infos}
    if sizes[_MANIFEST] > _MAX_MANIFEST_BYTES or sizes[_SIGNATURE] != SIGNATURE_BYTES:
        raise EnrolmentError(f"{path}: no signature, or a manifest too large", fix=_COPY_AGAIN)


def _manifest_of(path: Path, data: bytes) -> ArchiveManifest:
    try:
        manifest = ArchiveManifest.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise EnrolmentError(f"{path}: manifest: {where}: {first['msg']}", fix=_COPY_AGAIN) from error
    if set(manifest.parts) != {_FACTS, _ARRAYS}:
        raise EnrolmentError(f"{path}: manifest: parts: not those of a bank", fix=_COPY_AGAIN)
    return manifest


def _check_signature(
    path: Path, manifest: ArchiveManifest, signature: bytes, signed: bytes, trusted: frozenset[str]
) -> None:
    if manifest.signer not in trusted:
        fix = "if you trust that device, name its key with --signer, or put it into the state's trusted-signers/"
        signer = printable_name(manifest.signer[:80])
        raise EnrolmentError(f"{path}: signed by {signer}, which is not trusted here", fix=fix)
    if not is_signed_by(manifest.signer, signature, signed):
        raise EnrolmentError(f"{path}: altered: its signature does not fit", fix=_COPY_AGAIN)


def _bounded_npz(data: bytes) -> bytes:
    """The npz, if no array is more than it holds: a signature says who made it, not that it fits into memory."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        infos = archive.infolist()
        if any(info.compress_type != zipfile.ZIP_STORED for info in infos):
            raise ValueError("compressed arrays")
        if sum(info.file_size for info in infos) > len(data):
            raise ValueError("arrays that overlap")
        for info in infos:
            with archive.open(info) as member:
                _check_promise(member, info.file_size)
    return data


def _check_promise(member: IO[bytes], held_bytes: int) -> None:
    """The header of an array may not promise more than its member holds, or the promise alone would fill the memory."""
    read_header = npy.read_array_header_1_0 if npy.read_magic(member) == (1, 0) else npy.read_array_header_2_0
    shape, _, dtype = read_header(member)
    if dtype.hasobject or math.prod(shape) * dtype.itemsize > held_bytes:
        raise ValueError("arrays of objects, or of less than their headers say")
