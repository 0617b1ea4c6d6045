"""The text of a file's rows, whose lines are counted as they are read."""

import io
import re
from typing import IO

import numpy as np

from darec.data.lines import BLANKS, is_plain

INNER = b"\x1f"
"""The character that takes the place of a delimiter of several characters."""
RUN_OF_BLANKS = re.compile(rb"[ \t]+")
LINE_OF_BLANKS = re.compile(rb"(?m)^ +(?=\r?$)")
BLOCK = 1 << 20
"""Bytes that are read at once."""


class CountedText(io.RawIOBase):
    """The text behind the header; delimiters of several characters become `INNER`."""

    def __init__(self, binary: IO[bytes], delimiter: str, skipped_lines: int) -> None:
        for _ in range(skipped_lines):
            binary.readline()
        self._binary, self._rest, self._cut = binary, b"", b""
        self.n_lines = 0
        """Lines that are not empty, as far as the text was read."""
        self.is_doubtful = False
        """Whether a quote may be out of place."""
        self._is_plain = np.ones(256, bool)
        """Bytes that neither begin nor end a cell, and are no quote."""
        self._is_plain[list(b'"\r\n' + delimiter.encode())] = False
        self._delimiter = delimiter

    def readable(self) -> bool:
        """Return True: pyarrow asks."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Return about this many bytes of whole lines."""
        if not self._rest:
            self._rest = self._lines(max(size, BLOCK))
        part, self._rest = self._rest[:size], self._rest[size:]
        return part

    def _lines(self, size: int) -> bytes:
        """Return whole lines; the beginning of the next one is kept."""
        chunk = self._binary.read(size)
        text = self._cut + chunk
        end = text.rfind(b"\n") + 1 if chunk else len(text)
        if not end and len(text) > 2 * BLOCK:
            end = len(text)  # no line is so long; pyarrow refuses it
        text, self._cut = text[:end], text[end:]
        if not text and self._cut:
            return self._lines(size)
        if b"\n " in text or text.startswith(b" "):
            text = LINE_OF_BLANKS.sub(b"", text)
        if is_plain(self._delimiter):
            text = self._with_inner(text)
        self._count(text)
        return text

    def _with_inner(self, text: bytes) -> bytes:
        """Return whole lines with `INNER` between their cells."""
        if self._delimiter != BLANKS:
            return text.replace(self._delimiter.encode(), INNER)
        text = RUN_OF_BLANKS.sub(INNER, b"\n" + text + b"\n")
        for end in (b"\n", b"\r\n"):
            text = text.replace(INNER + end, end)
        return text.replace(b"\n" + INNER, b"\n")[1:-1]

    def _count(self, text: bytes) -> None:
        if b"\r" in text:
            text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        lines = text.count(b"\n") + (bool(text) and not text.endswith(b"\n"))
        if text.startswith(b"\n") or b"\n\n" in text:
            lines -= len(re.findall(rb"(?m)^\n", text))
        self.n_lines += lines
        if b'"' in text and not self.is_doubtful:
            self.is_doubtful = self._has_stray_quote(text)

    def _has_stray_quote(self, text: bytes) -> bool:
        """Return whether a quote stands within a cell and is not written twice."""
        byte_B = np.frombuffer(b"\n" + text + b"\n", np.uint8)
        quotes = np.flatnonzero(byte_B == ord('"'))
        return bool((self._is_plain[byte_B[quotes - 1]] & self._is_plain[byte_B[quotes + 1]]).any())
