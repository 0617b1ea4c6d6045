"""The text of a file's rows, whose lines are counted as they are read."""

import io
import re
from typing import IO

from darec.data.lines import BLANKS, is_plain

INNER = "\x1f"
"""The character that takes the place of a delimiter of several characters."""
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
        edge = re.escape(delimiter.encode())
        self._malformed = re.compile(rb'(?m)(?:^|%s)"(?:[^"\r\n]|"")*"[^"\r\n%s]' % (edge, edge))
        """May be a quoted cell that goes on behind its closing quote."""
        self._pattern = None
        if is_plain(delimiter):
            blanks = delimiter == BLANKS
            text = rb"[ \t]+" if blanks else re.escape(delimiter.encode())
            self._pattern = re.compile(text)
            self._edges = re.compile(rb"(?m)^[ \t]+|[ \t]+(?=\r?$)") if blanks else None

    def readable(self) -> bool:
        """Return True: pyarrow asks."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Return about so many bytes of whole lines."""
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
        if self._pattern is not None:
            text = self._edges.sub(b"", text) if self._edges else text
            text = self._pattern.sub(INNER.encode(), text)
        self._count(text)
        return text

    def _count(self, text: bytes) -> None:
        if b"\r" in text:
            text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        lines = text.count(b"\n") + (bool(text) and not text.endswith(b"\n"))
        if text.startswith(b"\n") or b"\n\n" in text:
            lines -= len(re.findall(rb"(?m)^\n", text))
        self.n_lines += lines
        if b'"' in text and not self.is_doubtful:
            self.is_doubtful = self._malformed.search(text) is not None
