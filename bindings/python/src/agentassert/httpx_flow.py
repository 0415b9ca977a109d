"""The flow of an authorized call, for HTTPX and for HTTPX2, which goes on where that ended and has the same
classes.

Both follow redirects within a flow, with the header fields of the request that the flow has yielded; of
ours they take off Authorization alone, and that not always. So these are where the transport finds them,
in the raw fields, and nowhere else: a copy of the fields, which a redirect gets, lacks them, and so does a
log.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias

from .authorized_call import MAX_REFUSAL, REFUSAL_SECONDS, Caller, is_other, redirected, routed
from .errors import AgentAssertError

if TYPE_CHECKING:
    from .authorization import Authorization
    from .authorized_call import Target
    from .messages import SurfaceName

# Those of the library that is used.
Request: TypeAlias = Any
Response: TypeAlias = Any

_MAX_HOPS = 20

# Marks a request that somebody outside has led here, also where its program sends it itself. Extensions
# are the one thing that goes from a request to that of a redirect.
_LED = "agentassert.led"


class HTTPXAuth:
    """Authorizes calls to a manager's backend, those to the base URL or below, and leaves all others as
    they are, those with the Host of another server among them. It takes the place of an Authorization
    that the client has set, but of an API key's where the call carries no other.

    A redirect gets nothing of it, wherever it leads. One that has stayed below the base URL, and is answered
    with 401, is authorized then.

    When the backend answers an assertion with 401, its task or instance is replaced, and the call sent
    once more, if its body was given as bytes, text, JSON or form fields. A second 401, and one to a
    bearer token, go to the caller.

    A call to responses whose authorization has an origin of its own goes there; it follows no redirect
    (``redirected``).

    The header fields are where a transport finds them, ``request.headers.raw``, while the call is sent;
    other views of a request, and logs, do not show them.

    Errors are those of the manager, as AgentAssertError, from the client's method. Threads, and tasks of
    one event loop, can share one.
    """

    library: Any
    """The library whose clients it is for: a class for each has its own."""

    def __init__(
        self, target: Target, *, surface: SurfaceName | None = None, timeout: float | None = None
    ) -> None:
        """Have calls authorized.

        Args:
            target: A Manager, or one of its threads for a conversation's calls, for Client; an
                AsyncManager or a thread of it for AsyncClient.
            surface: That of all calls; by default each one's URL says.
            timeout: How long a call may wait for its authorization, in seconds; the client's own
                time-outs do not count it.

        Raises:
            AgentAssertError: ``invalid_request``, ``unknown_surface``, ``unsupported_client``.
        """
        self._flow = HTTPXFlow(Caller(target, surface, timeout), self.library)

    def sync_auth_flow(self, request: Any) -> Generator[Any, Any, None]:
        """Serve the library's Client."""
        return self._flow.sync_flow(request)

    def async_auth_flow(self, request: Any) -> AsyncGenerator[Any, Any]:
        """Serve the library's AsyncClient."""
        return self._flow.async_flow(request)


class HTTPXFlow:
    """Authorizes the calls of a client."""

    def __init__(self, caller: Caller, library: Any) -> None:
        """Have a flow for a library: httpx, or what has the same classes.

        Raises:
            AgentAssertError: ``unsupported_client``: the library would send the authorization elsewhere.
        """
        self._caller = caller
        self._library = library
        self._headers = _hidden_fields(library)
        self._replayed = _replayed(library)
        self._once = _once(library)

    def sync_flow(self, request: Request) -> Generator[Request, Response, None]:
        """Authorize a call, and once more what is answered with 401."""
        surface = self._surface_of(request)
        if surface is None:
            yield self._led(request)
            return
        for _ in range(_MAX_HOPS):
            first = self._caller.authorization(surface)
            with self._sending(request, first) as sent:
                response = yield sent
            _check_redirect(sent, response, first)
            if response.request is sent:
                break
            followed = self._followed(response)
            if followed is None:
                return
            request, surface = response.request, followed
        else:
            return
        if response.status_code != 401 or not first.asserts:
            return
        # Even where this call cannot be sent again, the next one can.
        body, is_whole = self._beginning(response)
        second = self._caller.recover(first, response.headers.get("Date", ""), body)
        if second is not None and is_other(second, first) and is_whole and self._is_replayable(request):
            with self._sending(request, second) as sent:
                response = yield sent
            _check_redirect(sent, response, second)

    async def async_flow(self, request: Request) -> AsyncGenerator[Request, Response]:
        """Do the same in an event loop."""
        surface = self._surface_of(request)
        if surface is None:
            yield self._led(request)
            return
        for _ in range(_MAX_HOPS):
            first = await self._caller.authorization_async(surface)
            with self._sending(request, first) as sent:
                response = yield sent
            _check_redirect(sent, response, first)
            if response.request is sent:
                break
            followed = self._followed(response)
            if followed is None:
                return
            request, surface = response.request, followed
        else:
            return
        if response.status_code != 401 or not first.asserts:
            return
        body, is_whole = await self._beginning_async(response)
        second = await self._caller.recover_async(first, response.headers.get("Date", ""), body)
        if second is not None and is_other(second, first) and is_whole and self._is_replayable(request):
            with self._sending(request, second) as sent:
                response = yield sent
            _check_redirect(sent, response, second)

    def _surface_of(self, request: Request) -> SurfaceName | None:
        """Return the surface of a call, or None for one that is not authorized."""
        if request.extensions.get(_LED):
            return None
        return self._caller.surface_of(str(request.url), request.headers.get("Host"))

    def _led(self, request: Request) -> Request:
        """Return a request that is not authorized, nor is where it leads."""
        request.extensions = {**request.extensions, _LED: True}
        return request

    @contextmanager
    def _sending(self, request: Request, authorization: Authorization) -> Generator[Request]:
        """Make a request that carries an authorization, for as long as it is being sent. The given one stays
        as it is."""
        sent = self._authorized(request, authorization)
        try:
            yield sent
        finally:
            sent.headers = self._library.Headers(sent.headers)

    def _authorized(self, request: Request, authorization: Authorization) -> Request:
        url, own = request.url, self._library.Headers(request.headers)
        if authorization.responses_origin:
            url = self._library.URL(routed(str(url), authorization.responses_origin))
            own["Host"] = url.netloc.decode("ascii")
        sent: Request = self._library.Request(
            request.method, url, stream=request.stream, extensions=request.extensions
        )
        if self._is_replayable(request):
            sent.read()  # so that a hook finds its content
        if authorization.responses_origin:
            sent.stream = self._once(sent.stream)
        fields = self._library.Headers(own)
        authorization.set_headers(fields)
        sent.headers = self._headers(own, fields.raw)
        return sent

    def _followed(self, response: Response) -> SurfaceName | None:
        """Return the surface of a call that a redirect has led to another place below the base URL, and
        that is to be authorized there: it was refused without."""
        hops = [before.request for before in response.history]
        if response.status_code != 401 or not self._is_replayable(response.request):
            return None
        if any(self._surface_of(hop) is None for hop in hops):
            return None
        return self._surface_of(response.request)

    def _is_replayable(self, request: Request) -> bool:
        """Report whether a request's body can be sent again: what was given as bytes, text, JSON or form
        fields."""
        return isinstance(request.stream, self._library.ByteStream)

    def _beginning(self, response: Response) -> tuple[bytes, bool]:
        """Return the beginning of an answer, and whether it is all of it. It can still be read."""
        if response.is_stream_consumed:
            return _content_of(response), True
        chunks: list[bytes] = []
        rest: Iterator[bytes] = iter(response.stream)
        is_whole, failed = False, None
        until = time.monotonic() + REFUSAL_SECONDS
        try:
            while sum(map(len, chunks)) <= MAX_REFUSAL and time.monotonic() < until:
                chunks.append(next(rest))
        except StopIteration:
            is_whole = True
        except Exception as error:
            failed = error  # whoever reads the answer is told
        response.stream = self._replayed(chunks, rest, response.stream, failed)
        said = self._decoded(response, chunks)
        return said, is_whole and len(said) < MAX_REFUSAL

    async def _beginning_async(self, response: Response) -> tuple[bytes, bool]:
        """Do the same in an event loop."""
        if response.is_stream_consumed:
            return _content_of(response), True
        chunks: list[bytes] = []
        rest: AsyncIterator[bytes] = _chunks_of(response.stream)
        is_whole, failed = False, None
        until = time.monotonic() + REFUSAL_SECONDS
        try:
            while sum(map(len, chunks)) <= MAX_REFUSAL and time.monotonic() < until:
                chunks.append(await rest.__anext__())
        except StopAsyncIteration:
            is_whole = True
        except Exception as error:
            failed = error
        response.stream = self._replayed(chunks, rest, response.stream, failed)
        said = self._decoded(response, chunks)
        return said, is_whole and len(said) < MAX_REFUSAL

    def _decoded(self, response: Response, chunks: list[bytes]) -> bytes:
        """Return what chunks of an answer say, as far as it is looked at. They are decoded in pieces, so
        that a little that stands for very much does no harm."""
        encoded = b"".join(chunks)
        pieces = [encoded[at : at + 1024] for at in range(0, len(encoded), 1024)]
        copy: Response = self._library.Response(
            200,
            headers={"Content-Encoding": response.headers.get("Content-Encoding", "")},
            stream=self._replayed(pieces, iter(()), None, None),
        )
        said = b""
        try:
            for piece in copy.iter_bytes():
                said += piece
                if len(said) >= MAX_REFUSAL:
                    break
        except Exception:  # in whatever encoding, it says nothing
            return b""
        return said[:MAX_REFUSAL]


def _check_redirect(sent: Request, response: Response, authorization: Authorization) -> None:
    """Refuse a redirect that must not be followed. The client may have followed it, with nothing of ours."""
    if authorization.responses_origin and (response.request is not sent or response.has_redirect_location):
        raise redirected()


def _chunks_of(stream: Any) -> AsyncIterator[bytes]:
    """Return the chunks of an asynchronous stream."""
    chunks: AsyncIterator[bytes] = stream.__aiter__()
    return chunks


def _content_of(response: Response) -> bytes:
    """Return an answer that somebody has read, or nothing of one that was read in pieces."""
    content = b""
    with suppress(Exception):
        content = response.content
    return content[:MAX_REFUSAL]


@cache
def _hidden_fields(library: Any) -> Any:
    """Return a class of header fields that are what a transport sends, and look like others."""

    class HiddenFields(library.Headers):  # type: ignore[misc]
        def __init__(self, shown: Any, sent: list[tuple[bytes, bytes]]) -> None:
            super().__init__(shown)  # pyright: ignore[reportUnknownMemberType]
            self._sent = sent

        @property
        def raw(self) -> list[tuple[bytes, bytes]]:
            return list(self._sent)

    fields = HiddenFields([("a", "1")], [(b"b", b"2")])
    copies = (library.Headers(fields), library.Headers(dict(fields)), fields.copy())
    if any("b" in copy for copy in (*copies, fields)) or fields.raw != [(b"b", b"2")]:
        raise AgentAssertError(
            "unsupported_client",
            f"this version of {library.__name__} would let a redirect have the authorization",
        )
    return HiddenFields


@cache
def _replayed(library: Any) -> Any:
    """Return a class of streams of which a beginning was read."""

    class Replayed(library.SyncByteStream, library.AsyncByteStream):  # type: ignore[misc]
        def __init__(self, chunks: list[bytes], rest: Any, stream: Any, failed: Exception | None) -> None:
            self._chunks = chunks
            self._rest = rest
            self._stream = stream
            self._failed = failed

        def __iter__(self) -> Iterator[bytes]:
            yield from self._chunks
            if self._failed:
                raise self._failed
            yield from self._rest

        async def __aiter__(self) -> AsyncIterator[bytes]:
            for chunk in self._chunks:
                yield chunk
            if self._failed:
                raise self._failed
            async for chunk in self._rest:
                yield chunk

        def close(self) -> None:
            if self._stream is not None:
                self._stream.close()

        async def aclose(self) -> None:
            await self._stream.aclose()

    return Replayed


@cache
def _once(library: Any) -> Any:
    """Return a class of streams that are sent once, to where they belong: no redirect gets them."""

    class Once(library.SyncByteStream, library.AsyncByteStream):  # type: ignore[misc]
        def __init__(self, stream: Any) -> None:
            self._stream = stream
            self._is_sent = False

        def __iter__(self) -> Iterator[bytes]:
            self._send()
            yield from self._stream

        async def __aiter__(self) -> AsyncIterator[bytes]:
            self._send()
            async for chunk in self._stream:
                yield chunk

        def _send(self) -> None:
            if self._is_sent:
                raise redirected()
            self._is_sent = True

    return Once
