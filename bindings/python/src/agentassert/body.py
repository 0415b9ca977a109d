"""Reads a body that is no longer than it may be, decoded as its Content-Encoding says.

HTTP clients decode a piece as a whole, and a small one can stand for gigabytes.
"""

from __future__ import annotations

import zlib

from .exchange import RequestError, too_large

_ANY_HEADER = 32 + zlib.MAX_WBITS  # gzip's, or zlib's


class BodyReader:
    """Is for one answer."""

    def __init__(self, limit: int, content_encoding: str) -> None:
        """Read up to limit bytes.

        Raises:
            RequestError: For an encoding that nobody has asked for.
        """
        self._limit = limit
        self._body = bytearray()
        encoding = content_encoding.strip().lower()
        self._decoder = zlib.decompressobj(_ANY_HEADER) if encoding in ("gzip", "x-gzip", "deflate") else None
        if self._decoder is None and encoding not in ("", "identity"):
            raise RequestError("connect", "the response has an encoding that was not asked for")

    def feed(self, piece: bytes) -> None:
        """Take the next piece, as it was received.

        Raises:
            RequestError: ``too-large``; or for what cannot be decoded.
        """
        if self._decoder is None:
            self._body += piece
        else:
            try:
                self._body += self._decoder.decompress(piece, self._limit + 1 - len(self._body))
            except zlib.error:
                raise _damaged() from None  # it says no more than a number
        if len(self._body) > self._limit:
            raise too_large()

    def end(self) -> bytes:
        """Return the body, after the last piece.

        Raises:
            RequestError: For one that was cut off.
        """
        if self._decoder is not None and not self._decoder.eof:
            raise _damaged()
        return bytes(self._body)


def _damaged() -> RequestError:
    return RequestError("connect", "the response breaks off, or is not encoded as it says")
