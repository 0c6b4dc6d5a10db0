"""A text while it is generated."""

from __future__ import annotations

from types import TracebackType
from typing import Iterator, Optional

from leafcutter import _ffi
from leafcutter._errors import UsageError
from leafcutter._request import Event, Request
from leafcutter._types import Generation, Piece, generation


class GenerationStream(Iterator[Piece]):
    """The pieces of a text, as they are generated: ``for piece in model.generate(...)``.

    Leaving the loop cancels the rest, as do ``close()``, the end of a ``with`` block, and an exception, Ctrl-C among
    them. Several threads may read one stream; each piece goes to one of them.
    """

    def __init__(self, request: Request, has_logprobs: bool, model: object) -> None:
        self.request = request
        # A model lives as long as its texts.
        self._model = model
        self._has_logprobs = has_logprobs
        self._answer: Optional[Generation] = None

    def __next__(self) -> Piece:
        """
        Raises:
            Cancelled: ``cancel()`` was called, or the model was closed.
            Error: the request failed.
        """
        try:
            event = self.request.next()
            while event is not None:
                piece = self.take(event)
                if piece is not None:
                    return piece
                event = self.request.next()
        except BaseException:
            self.close()
            raise
        self.close()
        raise StopIteration

    def take(self, event: Event) -> Optional[Piece]:
        """The piece that an event holds; keeps the answer, which is none."""
        if event.kind == _ffi.RESULT:
            self._answer = generation(event.fields)
        if event.kind != _ffi.PIECE:
            return None
        logprob = event.fields.get("logprob") if self._has_logprobs else None
        return Piece(event.text, event.token if event.token >= 0 else None, event.sample, logprob)

    @property
    def answer(self) -> Generation:
        """The whole answer: reads what is left of the stream first.

        Raises:
            UsageError: the stream was left before its end.
        """
        for _ in self:
            pass
        if self._answer is None:
            raise UsageError("the stream was left before its end, and so it has no answer")
        return self._answer

    def cancel(self) -> None:
        """Ends the text from any thread: whoever reads it gets ``Cancelled``."""
        self.request.cancel()

    def close(self) -> None:
        """Cancels what has not ended. Reading goes no further; another thread that waits for it gets ``Cancelled``."""
        self.request.close()

    def __enter__(self) -> GenerationStream:
        return self

    def __exit__(
        self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.close()

    def __reduce__(self) -> str:
        raise TypeError("a text that is being generated cannot be pickled; send its pieces or its answer")
