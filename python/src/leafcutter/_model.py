"""A model that is open."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import weakref
from types import TracebackType
from typing import TYPE_CHECKING, Any, AsyncIterator, Iterable, Iterator, Mapping, Optional, Sequence, Union, overload

import numpy as np

from leafcutter import _async, _ffi
from leafcutter._answers import KINDS, first_result, in_order, in_turn, request_fields
from leafcutter._errors import UsageError, check, warn
from leafcutter._progress import Progress
from leafcutter._request import Request
from leafcutter._stream import GenerationStream
from leafcutter._types import (
    Choice,
    Fields,
    Filling,
    FloatArray,
    Generation,
    IntArray,
    Memory,
    Path,
    Perplexity,
    Piece,
    Plan,
    Score,
    Size,
    Text,
    filling,
    generation,
    made,
    plan,
)
from leafcutter._waiting import interruptibly
from leafcutter._wire import encoded, path_bytes, refuse_bytes, refuse_sets, require_bytes, text_or_ids

if TYPE_CHECKING:
    from typing import Literal

    from typing_extensions import Unpack

    from leafcutter._types import FillOptions, FormOptions, GenerateOptions, LogitsOptions

    Files = Union[Path, Mapping[str, Path]]


class Model:
    """A model file, opened inside a memory budget. Requests of all threads share its readings of the disk.

    Close it by ``with`` or ``close()``. Whatever waits for it, Ctrl-C ends the wait at once, and other Python threads
    go on. Open models after a fork, not before; to another process give the path.
    """

    def __init__(
        self,
        path: Path,
        *,
        memory: Optional[Size] = None,
        context: Optional[int] = None,
        sequences: Optional[int] = None,
        logit_rows: Optional[int] = None,
        threads: Optional[int] = None,
        io: Optional[str] = None,
        mirror: Optional[Path] = None,
        max_read_rate: Optional[Size] = None,
        activations: Optional[str] = None,
        kv: Optional[str] = None,
        deltas: Optional[Files] = None,
        delta_alpha: Optional[float] = None,
        prompt_embeddings: Optional[Files] = None,
        speculate: Optional[Path] = None,
        draft_tokens: Optional[int] = None,
        share_ngrams: Optional[bool] = None,
        **options: Any,
    ) -> None:
        """Opens a model file and allocates all that it needs.

        Args:
            path: a .leaf file.
            memory: what the library may add to this process: bytes, ``"2GiB"``, or ``"auto"``.
            context: tokens of a text at most, the soft prompt and what is generated included (512).
            sequences: texts on a reading of the model at most (1); samples and beams count, so ``n=4`` needs 4. What is
                asked beyond that, by ``map`` or by other threads, waits for those before it.
            logit_rows: tokens of a text whose probabilities one reading gives. A target or a window of more takes
                several (as many as the context has, if half of the memory is enough for them).
            threads: compute threads (the cores that the process may use).
            io: how weights are read: ``"auto"``, ``"map"``, ``"direct"``, ``"buffered"``.
            mirror: a second copy of the file on another drive, read at the same time.
            max_read_rate: bytes a second at most: ``"200MB/s"``.
            activations: ``"int16"`` or ``"int8"``, beside int8 weights.
            kv: precision of the KV cache, ``"f16"`` or ``"f32"``.
            deltas: LoRA adapters by name, from which a request chooses with ``delta``; or one for all.
            delta_alpha: their alpha.
            prompt_embeddings: trained soft prompts by name, chosen with ``prompt_embedding``; or one for all.
            speculate: what guesses the next tokens, which changes no text: ``"auto"``, ``"off"``, ``"ngram"``, or a
                model of the same vocabulary that stays in memory.
            draft_tokens: guess so many for each text on each reading, also where it does not pay.
            share_ngrams: with ``"ngram"`` or ``"auto"``: guess what other texts of this model have said, too. No text
                changes, but how fast one comes may tell what others have said.
            options: any other option of the library.

        Raises:
            BudgetError: it does not fit; ``minimum`` is the smallest budget that works, in bytes.
            FileError: a file cannot be read.
            BadInputError: a file is damaged, or no model.
            UsageError: an option makes no sense.

        Warns:
            PerformanceWarning: what ``speculate`` names does not guess, for want of memory or because that would take
                longer.
        """
        given = {
            "memory": memory,
            "context": context,
            "sequences": sequences,
            "logit_rows": logit_rows,
            "threads": threads,
            "io": io,
            "mirror": mirror,
            "max_read_rate": max_read_rate,
            "activations": activations,
            "kv": kv,
            "deltas": deltas,
            "delta_alpha": delta_alpha,
            "prompt_embeddings": prompt_embeddings,
            "speculate": speculate,
            "draft_tokens": draft_tokens,
            "share_ngrams": share_ngrams,
        }
        target, body = path_bytes(path, "path"), encoded({**given, **options})
        library = _ffi.library()
        owner = os.getpid()

        def call() -> int:
            handle = ctypes.c_void_p()
            check(library.lc_model_open(target, body, ctypes.byref(handle)))
            return handle.value or 0

        handle = interruptibly(call, abandon=lambda handle: _close(handle, owner))
        self._handle = ctypes.c_void_p(handle)
        self._close = weakref.finalize(self, _close, handle, owner)
        self.path = os.fspath(path)
        warn(self.info)

    # Texts

    def generate(self, prompt: Text, **options: Unpack[GenerateOptions]) -> GenerationStream:
        """Continues a text; its pieces come as they are generated.

        Leaving the loop cancels the rest. ``answer`` of the stream is the whole answer.

        Args:
            prompt: a text, or ids with ``<s>`` in front.
        """
        request = self._start("generate", {**text_or_ids(prompt, "prompt", "input_ids"), **options})
        return GenerationStream(request, "logprobs" in options, self)

    def complete(self, prompt: Text, **options: Unpack[GenerateOptions]) -> Generation:
        """Continues a text and returns the whole answer."""
        return self.generate(prompt, **options).answer

    async def agenerate(self, prompt: Text, **options: Unpack[GenerateOptions]) -> AsyncIterator[Piece]:
        """Continues a text for an event loop, which goes on meanwhile.

        Leaving the loop, or cancelling its task, cancels the rest.
        """
        stream = self.generate(prompt, **options)
        try:
            while True:
                event = await _async.next_event(stream.request)
                if event is None:
                    return
                piece = stream.take(event)
                if piece is not None:
                    yield piece
        finally:
            stream.close()

    async def acomplete(self, prompt: Text, **options: Unpack[GenerateOptions]) -> Generation:
        """Continues a text for an event loop and returns the whole answer. Cancelling its task cancels the text."""
        stream = self.generate(prompt, **options)
        try:
            while True:
                event = await _async.next_event(stream.request)
                if event is None:
                    return stream.answer
                stream.take(event)
        finally:
            stream.close()

    def fill(self, text: str, **options: Unpack[FillOptions]) -> Filling:
        """Fills the blanks of a text: ``<blank:3>`` is three tokens, ``<blank>`` one to ``max_blank``."""
        refuse_bytes(text, "text")
        return filling(self._answer("fill", {"text": text, **options}))

    # Judgements

    def score(self, context: Text, target: Text, **options: Unpack[FormOptions]) -> Score:
        """Says how likely a target is after a context, which is read in both directions.

        Args:
            context: a text, or ids with ``<s>`` in front.
            target: a text, or ids.
        """
        return made(Score, self._answer("score", {**request_fields("score", (context, target)), **options}))

    def choose(
        self, text: str, options: Sequence[str], *, rule: Optional[str] = None, **form: Unpack[FormOptions]
    ) -> Choice:
        """Says which of several options continues a text best.

        Args:
            options: texts, one to 256.
            rule: ``"likelihood"``: the most likely continuation; ``"choice"``: the option that the model judges to be
                right, as CPM-Live asks it, which only an adapter has learned to answer (the default with one).
        """
        refuse_bytes(text, "text")
        if isinstance(options, str):
            raise TypeError("options is one text; a list of texts is needed")
        refuse_sets(options, "options")
        fields = {"input": text, "options": list(options), "rule": rule, **form}
        return made(Choice, self._answer("score", fields))

    def perplexity(
        self,
        text: Text,
        *,
        context: Optional[int] = None,
        stride: Optional[int] = None,
        prefix: Optional[int] = None,
        **form: Unpack[FormOptions],
    ) -> Perplexity:
        """Says how well a text is predicted, each token from those before it.

        Args:
            text: a text, or its ids without ``<s>``.
            context: tokens of a window (512, or as many as the model's context holds beside the soft prompt).
            stride: tokens from one window to the next (all that are scored).
            prefix: tokens of a window that are read and not scored, ``<s>`` among them (1).
        """
        fields = {**text_or_ids(text, "text", "input_ids"), "context": context, "stride": stride, "prefix": prefix}
        return made(Perplexity, self._answer("perplexity", {**fields, **form}))

    # Numbers

    @overload
    def embed(self, texts: str, *, pool: Literal["none", "mean", "last"] = ..., **form: Any) -> FloatArray: ...

    @overload
    def embed(
        self, texts: Iterable[Text], *, pool: Literal["mean", "last"] = ..., progress: Progress = ..., **form: Any
    ) -> FloatArray: ...

    @overload
    def embed(
        self, texts: Iterable[Text], *, pool: Literal["none"], progress: Progress = ..., **form: Any
    ) -> list[FloatArray]: ...

    def embed(
        self, texts: Union[str, Iterable[Text]], *, pool: str = "mean", progress: Progress = False, **form: Any
    ) -> Union[FloatArray, list[FloatArray]]:
        """Turns texts into vectors: last hidden states after the last norm, float32.

        Args:
            texts: one text, or any iterable of texts (or of lists of ids).
            pool: ``"mean"`` over the tokens, the ``"last"`` token's, or ``"none"``: a vector for each token.
            progress: True for a bar by tqdm, or a function of texts done and in total.

        Returns:
            ``[texts, width]``; for one text ``[width]``. With ``pool="none"`` a list of ``[tokens, width]``, or one of
            them.
        """
        refuse_bytes(texts, "texts")
        many: Iterable[Text] = [texts] if isinstance(texts, str) else texts
        rows = list(self.map(many, kind="embed", progress=progress, pool=pool, **form))
        if isinstance(texts, str):
            return rows[0]
        if pool == "none":
            return rows
        return np.stack(rows) if rows else np.empty((0, self.info["dim_model"]), np.float32)

    def logits(self, ids: Union[Sequence[int], IntArray], **options: Unpack[LogitsOptions]) -> FloatArray:
        """Computes the logits of each token's successor.

        Args:
            ids: of a text, ``<s>`` in front.

        Returns:
            ``[len(ids), vocabulary]``, float32; with ``last=True`` the last row alone, ``[1, vocabulary]``.
        """
        if isinstance(ids, str):
            raise TypeError("ids is a text; model.tokenize turns it into ids")
        fields = {"id": "logits", **text_or_ids(ids, "ids", "input_ids"), **options}
        logits: Optional[FloatArray] = None
        begin = 0
        for event in self._start("logits", fields).results():
            if event.floats is None:
                continue
            if logits is None:
                rows = 1 if options.get("last") else len(ids)
                logits = np.empty((rows, event.floats.shape[1]), np.float32)
            logits[begin : begin + len(event.floats)] = event.floats
            begin += len(event.floats)
        if logits is None:
            raise UsageError("the library gave no logits")
        return logits

    # Words

    def tokenize(self, text: str) -> list[int]:
        """The ids of a text, without ``<s>``; 1 is whatever the vocabulary does not have."""
        refuse_bytes(text, "text")
        ids: list[int] = self._answer("tokenize", {"text": text})["ids"]
        return ids

    def detokenize(self, ids: Union[Sequence[int], IntArray]) -> str:
        """The text of ids."""
        text: str = self._answer("detokenize", text_or_ids(ids, "text", "ids"))["text"]
        return text

    # Many

    @overload
    def map(
        self,
        requests: Iterable[Union[Text, Fields]],
        *,
        kind: Literal["generate"] = ...,
        progress: Progress = ...,
        **options: Unpack[GenerateOptions],
    ) -> Iterator[Generation]: ...

    @overload
    def map(
        self,
        requests: Iterable[Union[str, Fields]],
        *,
        kind: Literal["fill"],
        progress: Progress = ...,
        **options: Unpack[FillOptions],
    ) -> Iterator[Filling]: ...

    @overload
    def map(
        self,
        requests: Iterable[Union[tuple[Text, Text], Fields]],
        *,
        kind: Literal["score"],
        progress: Progress = ...,
        **options: Any,
    ) -> Iterator[Union[Score, Choice]]: ...

    @overload
    def map(
        self,
        requests: Iterable[Union[Text, Fields]],
        *,
        kind: Literal["perplexity"],
        progress: Progress = ...,
        **options: Any,
    ) -> Iterator[Perplexity]: ...

    @overload
    def map(
        self,
        requests: Iterable[Union[Text, Fields]],
        *,
        kind: Literal["embed"],
        progress: Progress = ...,
        **options: Any,
    ) -> Iterator[FloatArray]: ...

    def map(
        self,
        requests: Iterable[Any],
        *,
        kind: str = "generate",
        progress: Progress = False,
        **options: Any,
    ) -> Iterator[Any]:
        """Answers any number of requests on shared readings of the model, in the order of the input.

        As many as the model has ``sequences`` share a reading; a model that was opened without has room for one, and
        the texts follow each other.

        Takes as many requests ahead as are under way at the same time, so that memory does not grow with their number.
        Leaving the loop cancels what is under way. A request that fails raises when its turn comes, after the answers
        before it; so does an input that fails.

        Args:
            requests: any iterable, also one without end: prompts (texts or ids); for ``score`` pairs of context and
                target; or whole requests as dictionaries, whose options stand before those given here.
            kind: ``"generate"``, ``"fill"``, ``"score"``, ``"perplexity"`` or ``"embed"``.
            progress: True for a bar by tqdm, or a function of requests done and in total.
            options: for all requests.
        """
        refuse_bytes(requests, "requests")
        if isinstance(requests, (str, Mapping)):
            raise TypeError("requests is a single one; give a list of them, or use the method for one")
        if not isinstance(kind, str):
            raise TypeError(f"kind is {type(kind).__name__}; one of {', '.join(KINDS)} is needed")
        if kind not in KINDS:
            raise UsageError(f"there is no kind {kind!r} of many requests; there are {', '.join(KINDS)}")
        return in_order(self._start, kind, requests, options, ahead=2 * self.sequences, progress=progress)

    def answer_lines(self, lines: Iterable[bytes], *, ahead: Optional[int] = None) -> Iterator[bytes]:
        """Answers lines of a ``Job`` on shared readings of the model, in the order of the input, for ``Job.answer``.

        A request that fails has its answer, too.

        Args:
            ahead: lines under way at the same time at most (twice the texts that share a reading).

        Raises:
            BadInputError: the line belongs to a job of another model, or the model cannot be read.
            FileError: the model cannot be read.
            UsageError: ``ahead`` is below 1.
            TypeError: a line is no bytes.
        """
        if ahead is not None and ahead < 1:
            raise UsageError(f"{ahead} lines ahead answer nothing; give one or more")

        def ask(line: bytes) -> Request:
            require_bytes(line, "line")
            return Request(self._handle, "line", line)

        with contextlib.closing(in_turn(ask, iter(lines), ahead=ahead or 2 * self.sequences)) as asked:
            for _, request in asked:
                yield first_result("line", request).json

    # Facts

    @property
    def info(self) -> dict[str, Any]:
        """File, configuration, threads, plan, memory and drafts, as the library describes them; ``warnings`` says what
        is not as it was asked."""
        text = ctypes.c_void_p()
        check(_ffi.library().lc_model_info(self._handle, ctypes.byref(text)))
        info: dict[str, Any] = json.loads(_ffi.take_string(text))
        return info

    @property
    def plan(self) -> Plan:
        """What the model takes and why, in bytes."""
        return plan(self.info["plan"])

    @property
    def memory(self) -> Memory:
        """Budget, promise and peak so far, in bytes."""
        return made(Memory, self.info["memory"])

    @property
    def sequences(self) -> int:
        """Texts that share a reading of the model at most."""
        sequences: int = self.info["sequences"]
        return sequences

    # Life

    def close(self) -> None:
        """Ends all requests as cancelled and gives the memory back. May be called more than once."""
        self._close()

    @property
    def is_closed(self) -> bool:
        return not self._close.alive

    def __enter__(self) -> Model:
        return self

    def __exit__(
        self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<leafcutter.Model {self.path!r}{', closed' if self.is_closed else ''}>"

    def __reduce__(self) -> str:
        raise TypeError("a model cannot be pickled; give the other process its path, and open it there")

    def _start(self, kind: str, fields: Fields) -> Request:
        return Request(self._handle, kind, encoded(fields))

    def _answer(self, kind: str, fields: Fields) -> Fields:
        return first_result(kind, self._start(kind, fields)).fields


def _close(handle: int, owner: int) -> None:
    # A forked child has the number, not the model.
    if os.getpid() == owner:
        _ffi.library().lc_model_close(handle)
