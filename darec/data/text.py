"""Open a file as UTF-8 text: unpack it, and decode it if it is in another encoding."""

import bz2
import codecs
import gzip
import io
import lzma
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any
from zipfile import BadZipFile, ZipFile

import pyarrow as pa

from darec.data.given import check_file
from darec.errors import UserError

DAMAGED = (EOFError, OSError, zlib.error, lzma.LZMAError, BadZipFile)
"""What reading a damaged archive may raise."""
LONGEST_MAGIC = 263
"""Bytes from a file's beginning that tell what it is; a tar file has its mark at byte 257."""
UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
MOST_NAMED = 3
"""Members of an archive that a message names."""
PARQUET = b"PAR1"
FOREIGN = {
    b"\x89HDF": "an HDF5 file",
    b"SQLite format 3": "an SQLite database",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"%PDF": "a PDF document",
    b"\x93NUMPY": "a numpy array",
    b"MATLAB 5.0": "a MATLAB file",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"Rar!": "a RAR archive",
    b"ARROW1": "an Arrow file",
    b"ORC": "an ORC file",
    b"Obj\x01": "an Avro file",
    b"\x80\x04": "a pickle",
    b"\x80\x05": "a pickle",
    b"<!doctype html": "a web page, not the file that it may link to",
    b"<html": "a web page, not the file that it may link to",
    b"<?xml": "an XML file",
}
"""What files of other kinds begin with, and what they are."""


def open_utf8(path: Path, encoding: str | None = None) -> IO[bytes]:
    """Open a rating file as UTF-8 text without a byte order mark.

    gzip, bzip2, xz and zstd files, and zip files with one member, are unpacked, also within each
    other. Files that begin with a byte order mark of UTF-16 are decoded; other encodings must be
    named. Bytes that are not text of the encoding are left as they are, so that the reader of the
    lines can name their line.
    Raises `UserError` for what is no file, a file of another kind, or an unknown encoding.
    """
    check_file(path)
    is_utf8 = encoding is None or _codec(encoding) == "utf-8"
    try:
        stream = _unpacked(path)
    except DAMAGED as error:
        raise damaged(path, error) from error
    try:
        magic = _beginning(stream)
        if is_utf8 and magic.startswith(UTF_16):
            return io.BufferedReader(_Decoded(stream, "utf-16"))
        if encoding is not None and not is_utf8:
            if magic.startswith(codecs.BOM_UTF8):
                message = f"the file begins with the mark of UTF-8, so it is not {encoding}"
                raise UserError(f"{path}: {message}; leave --encoding out")
            return io.BufferedReader(_Decoded(stream, encoding))
        _refuse_foreign(path, magic)
        while _beginning(stream).startswith(codecs.BOM_UTF8):
            stream.read(len(codecs.BOM_UTF8))
    except DAMAGED as error:
        stream.close()
        raise damaged(path, error) from error
    except UserError:
        stream.close()
        raise
    return stream


def begins_with(path: Path) -> bytes:
    """Return a file's first bytes, unpacked and as UTF-8; raises `UserError` like `open_utf8`."""
    check_file(path)
    try:
        with _unpacked(path) as stream:
            magic = _beginning(stream)
            return magic.decode("utf-16", "ignore").encode() if magic.startswith(UTF_16) else magic
    except DAMAGED as error:
        raise damaged(path, error) from error


class NoRatings(UserError):
    """A rating file is empty."""


def no_ratings(path: Path) -> NoRatings:
    """Return the error of a file without a rating."""
    return NoRatings(f"{path}: a rating file must have at least one rating, but it is empty")


def damaged(path: Path, error: BaseException) -> UserError:
    """Return the error of a packed file that cannot be unpacked."""
    rule = "a packed file must be complete, but it is truncated or damaged"
    return UserError(f"{path}: {rule}: {str(error)[:80]}")


def _unpacked(path: Path) -> io.BufferedReader:
    """Open a file, unpacked as often as it is packed."""
    stream: io.BufferedReader = path.open("rb")
    try:
        while True:
            magic = _beginning(stream)
            opened = next((o for begin, o in _PACKED.items() if magic.startswith(begin)), None)
            if opened is None:
                return stream
            stream = opened(path, stream)
    except (UserError, *DAMAGED):
        stream.close()
        raise


def _beginning(stream: io.BufferedReader) -> bytes:
    return stream.peek(LONGEST_MAGIC)[:LONGEST_MAGIC]


def _unzip(path: Path, stream: io.BufferedReader) -> io.BufferedReader:
    """Open the one member of a zip file."""
    if not stream.seekable():
        raise UserError(f"{path}: a zip file must not be packed again; unpack it first")
    archive = ZipFile(stream)
    names = [
        name
        for name in archive.namelist()
        if not name.endswith(("/", "/.DS_Store"))
        and not name.startswith(("__MACOSX/", ".DS_Store"))
    ]
    if any(name.startswith("xl/") for name in names):
        raise UserError(f"{path}: this is an Excel workbook; save its sheet as CSV, and give that")
    if len(names) != 1:
        some = ", ".join(name[-30:] for name in names[:MOST_NAMED])
        more = ", ..." if len(names) > MOST_NAMED else ""
        message = f"this is a zip file with {len(names)} members ({some}{more})"
        raise UserError(f"{path}: {message}; unpack it (unzip), and give one of them")
    if archive.getinfo(names[0]).flag_bits & 1:
        raise UserError(f"{path}: this zip file is encrypted; unpack it first")
    return _Over(archive.open(names[0]), archive, stream)


def _zstd(path: Path, stream: io.BufferedReader) -> io.BufferedReader:
    return _Over(pa.CompressedInputStream(stream, "zstd"), stream)


class _Over(io.BufferedReader):
    """An unpacked stream; closing it closes what it reads from, too."""

    def __init__(self, raw: Any, *under: IO[bytes] | ZipFile) -> None:
        super().__init__(raw)
        self._under = under

    def close(self) -> None:
        try:
            super().close()
        finally:
            for each in self._under:
                each.close()


_PACKED: dict[bytes, Callable[[Path, io.BufferedReader], io.BufferedReader]] = {
    b"\x1f\x8b": lambda _, stream: _Over(gzip.GzipFile(fileobj=stream, mode="rb"), stream),
    b"BZh": lambda _, stream: _Over(bz2.BZ2File(stream), stream),
    b"\xfd7zXZ\0": lambda _, stream: _Over(lzma.LZMAFile(stream), stream),
    b"\x28\xb5\x2f\xfd": _zstd,
    b"PK\x03\x04": _unzip,
    b"PK\x05\x06": _unzip,
}


def _refuse_foreign(path: Path, magic: bytes) -> None:
    """Raise `UserError` for a file that is known to be of another kind."""
    begin = magic.lstrip().lower()
    found = next((kind for mark, kind in FOREIGN.items() if begin.startswith(mark.lower())), None)
    if magic[257:262] == b"ustar":
        raise UserError(
            f"{path}: this is a tar archive; unpack it (tar -xf), and give a file of it"
        )
    if found:
        raise UserError(f"{path}: this is {found}; give CSV, TSV, JSON lines or Parquet")
    if b"\0" in magic:
        message = "this is not text: it has NUL bytes"
        raise UserError(f"{path}: {message}; if it is UTF-16, say so: --encoding utf-16-le")


def _codec(encoding: str) -> str:
    """Return a text encoding's usual name; raises `UserError` for an unknown one."""
    try:
        found = codecs.lookup(encoding)
        "abc".encode(encoding).decode(encoding, "surrogateescape")
    except (LookupError, ValueError) as error:
        known = "utf-8, latin-1, cp1252, utf-16"
        raise UserError(
            f"--encoding must be a text encoding ({known}), but got {encoding!r}"
        ) from error
    return found.name


class _Decoded(io.RawIOBase):
    """Text of another encoding as UTF-8 bytes."""

    def __init__(self, stream: IO[bytes], encoding: str) -> None:
        self._text = io.TextIOWrapper(stream, encoding, errors="surrogateescape", newline="")
        self._rest = b""

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        super().close()
        self._text.close()

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        if not self._rest:
            try:
                text = self._text.read(1 << 16).removeprefix("\ufeff")
            except UnicodeError as error:
                raise OSError(str(error)) from error
            self._rest = text.encode("utf-8", "surrogateescape")
        part, self._rest = self._rest[: len(buffer)], self._rest[len(buffer) :]
        buffer[: len(part)] = part
        return len(part)
