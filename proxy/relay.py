"""One stream as a machine: the vendor's bytes in, the client's bytes out.

    framer      bytes to events
    translator  events to chunks
    filters     chunks to chunks, the plugins' share
    relay       chunks to bytes, and what the client did not ask for left out

No socket, no clock, no waiting: any split of the vendor's bytes gives the client the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

from proxy import hooks
from proxy.adapter import Operation, Translator
from proxy.errors import GatewayError, UpstreamBadResponse, UpstreamTruncated
from proxy.framing import Event
from proxy.hooks import Filter
from proxy.wire import Chunk, Usage


class Relay:
    """The machine of one attempt's stream.

    Attributes:
        chunks: how many of them had content.
        content: whether a part of the answer has come out; from then on nothing is retried.
        ended: whether the stream is over, whole.
    """

    __slots__ = ("_filters", "_framer", "_strip_usage", "_translator", "chunks", "content", "ended")

    def __init__(
        self,
        operation: Operation,
        translator: Translator,
        filters: Sequence[Filter] = (),
        *,
        strip_usage: bool = False,
    ) -> None:
        """Start before the first byte.

        Args:
            operation: its framer cuts the vendor's bytes.
            translator: made by the same operation, for this stream.
            filters: innermost first.
            strip_usage: the client did not ask for the usage chunk that we asked for.
        """
        self._framer = operation.framer()
        self._translator = translator
        self._filters = filters
        self._strip_usage = strip_usage
        self.chunks = 0
        self.content = False
        self.ended = False

    @property
    def usage(self) -> Usage | None:
        """What the vendor reported so far."""
        return self._translator.usage

    @property
    def memory(self) -> Mapping[str, bytes]:
        """What the vendor wants back with the results of its tool calls."""
        return self._translator.memory

    def feed(self, data: bytes) -> bytes:
        """Take the vendor's next bytes and return what they make for the client.

        The client's end marker goes out with the vendor's, not with the end of the body,
        which some vendors delay.

        Raises:
            Cut: the vendor reported an error, or a plugin cut the stream.
        """
        out: list[bytes] = []
        translator = self._translator
        try:
            for event in self._framer.feed(data):
                if self.ended:
                    self._after(event, out)
                    continue
                self._emit(translator.feed(event), out)
                if translator.ended:
                    self._end(out)
        except GatewayError as error:
            raise Cut(b"".join(out), error) from error
        return out[0] if len(out) == 1 else b"".join(out)

    def close(self) -> bytes:
        """Take the end of the vendor's bytes and return what was still held.

        Raises:
            Cut: the vendor's end marker never came.
        """
        if self.ended:
            return b""
        out: list[bytes] = []
        try:
            for event in self._framer.close():
                if event.data:  # half a comment, or `data:` and no more, would not be one whole
                    self._emit(self._translator.feed(event), out)
            self._end(out)
        except UpstreamBadResponse as error:
            cut = UpstreamTruncated("the provider's stream ended inside an event")
            raise Cut(b"".join(out), cut) from error
        except GatewayError as error:
            raise Cut(b"".join(out), error) from error
        return b"".join(out)

    def _after(self, event: Event, out: list[bytes]) -> None:
        """Pass what a vendor sends behind its end: marks without data, and nothing else."""
        with suppress(GatewayError):
            chunks = self._translator.feed(event)
            out += [chunk.block for chunk in chunks if not chunk.data]

    def _end(self, out: list[bytes]) -> None:
        self._emit(self._translator.close(), out)
        if self._filters:
            self._write(hooks.close(self._filters), out)
        out.append(self._translator.last)
        self.ended = True

    def _emit(self, chunks: Sequence[Chunk], out: list[bytes]) -> None:
        self._write(hooks.feed(self._filters, chunks) if self._filters else chunks, out)

    def _write(self, chunks: Sequence[Chunk], out: list[bytes]) -> None:
        for chunk in chunks:
            if chunk.usage_only and self._strip_usage:
                continue
            if chunk.content:
                self.content = True
                self.chunks += 1
            out.append(chunk.block)


class Cut(Exception):
    """The stream stops here.

    Attributes:
        before: what still goes to the client.
        error: why.
    """

    def __init__(self, before: bytes, error: GatewayError) -> None:
        super().__init__(str(error))
        self.before = before
        self.error = error
