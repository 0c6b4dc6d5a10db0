"""What comes back, and the options of a request, with shapes and units."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Mapping, Optional, Sequence, TypedDict, TypeVar, Union

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import os

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.integer[Any]]
Path = Union[str, "os.PathLike[str]"]
Size = Union[int, str]
"""Bytes, or a text such as ``"512MiB"``, ``"2GiB"``, ``"4GB"``."""
Text = Union[str, Sequence[int], IntArray]
"""A text, or its token ids with ``<s>`` in front."""

Fields = Mapping[str, Any]
_Made = TypeVar("_Made")


def made(kind: type[_Made], fields: Fields) -> _Made:
    """A dataclass of the fields that it knows: a later library may say more."""
    known = {field.name for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    given = {name: value for name, value in fields.items() if name in known}
    if "unknown" in given:
        given["unknown"] = tuple(given["unknown"])
    return kind(**given)


class Speculation(TypedDict, total=False):
    """What guessed tokens, and what came of it."""

    mode: str
    """``"off"``, ``"ngram"``, the path of a model, or ``"off: "`` and why nothing guesses."""
    drafted: int
    """Tokens that were guessed."""
    accepted: int
    """Those of them that the model chose as well."""
    tokens_per_sweep: float
    """What a text got on a reading of the model behind its prompt's, on average."""
    draft_seconds: float
    """Seconds that guessing took, of all texts of the model."""
    tokens: int
    """Of all texts of a model: what they got on readings behind their prompts'."""
    steps: int
    """Of all texts of a model: these readings, counted for each text."""


class FormOptions(TypedDict, total=False):
    """The form in which the model is given a text; every kind of request takes these."""

    task: int
    """Soft prompt, 0 to 31."""
    segment: int
    """Segment of the text, 0 to 31."""
    delta: str
    """Name of an adapter among the model's ``deltas``."""
    prompt_embedding: str
    """Name of a trained soft prompt among the model's ``prompt_embeddings``."""


class LogitsOptions(FormOptions, total=False):
    """Options of logits."""

    last: bool
    """Whether the last row alone is wanted."""


class ChoiceOptions(FormOptions, total=False):
    """How tokens are chosen."""

    greedy: bool
    """The most likely token each time."""
    beams: int
    """Beam search of this width."""
    temperature: float
    top_p: float
    top_k: int
    min_p: float
    seed: int
    """The same seed gives the same text; drawn at random and reported if it is not given."""
    repetition_penalty: float
    repetition_window: int
    frequency_penalty: float
    presence_penalty: float
    no_repeat_ngram: int
    logit_bias: Mapping[int, float]


class GenerateOptions(ChoiceOptions, total=False):
    """Options of ``generate``; what is not given is as with the command."""

    max_tokens: int
    """Tokens to generate at most (100)."""
    n: int
    """Samples, on the same sweeps."""
    allow_empty: bool
    eos_id: int
    """The id that ends a text (7)."""
    stop: Union[str, Sequence[str]]
    """Texts that end the answer and are not part of it."""
    length_penalty: float
    early_stopping: bool
    compat: str
    logprobs: int
    """So many alternatives with their log-probabilities for each token."""


class FillOptions(ChoiceOptions, total=False):
    """Options of ``fill``; the most likely token is taken unless something else is asked for."""

    max_blank: int
    """Tokens of a blank without a number at most (8)."""
    sample: bool
    """Draw tokens by their probability."""


@dataclasses.dataclass(frozen=True)
class Piece:
    """A part of a text that is being generated."""

    text: str
    """Whole characters; may be empty while a character or a stop text is incomplete."""
    id: Optional[int]
    """The token; None for text that was held back until its sample ended."""
    sample: int = 0
    """Which of ``n`` samples, from 0."""
    logprob: Optional[float] = None
    """The token's log-probability, where ``logprobs`` was asked for."""


@dataclasses.dataclass(frozen=True)
class Timing:
    """Where the time of a request went."""

    load: float = 0.0
    """Seconds that opening the model took."""
    wait: float = 0.0
    """Seconds in the queue."""
    prefill: float = 0.0
    """Seconds until the first token was there."""
    decode: float = 0.0
    """Seconds for the tokens after it."""
    tokens_per_second: float = 0.0
    sweeps: int = 0
    """Readings of the model."""


@dataclasses.dataclass(frozen=True)
class Memory:
    """What a model takes, in bytes."""

    budget: int
    """The ceiling that was given."""
    planned: int
    """What the plan promises to stay below."""
    peak: int
    """The most that was measured."""


@dataclasses.dataclass(frozen=True)
class IO:
    """What was read from the disk."""

    mode: str
    bytes_read: int = 0
    bytes_written: Optional[int] = None
    read_seconds: float = 0.0
    wait_seconds: float = 0.0
    bytes_per_second: float = 0.0
    streamed_bytes_per_sweep: int = 0


@dataclasses.dataclass(frozen=True)
class TokenLogprob:
    """A generated token's log-probability and the best alternatives, best first."""

    id: int
    logprob: float
    top: tuple[tuple[int, float], ...] = ()
    """``(id, logprob)``"""


@dataclasses.dataclass(frozen=True)
class Sample:
    """One of the texts that were generated for a prompt."""

    text: str
    """The generated part alone."""
    ids: list[int]
    """Its tokens, without the one that ends it."""
    finish_reason: str
    """``"stop"`` or ``"length"``."""
    score: Optional[float] = None
    """Of a beam."""
    logprobs: Optional[list[TokenLogprob]] = None
    """Where ``logprobs`` was asked for: one a token."""


@dataclasses.dataclass(frozen=True)
class Generation(Sample):
    """The whole answer to ``generate``: the first sample, all of them, and what they cost."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    seed: int = 0
    choices: list[Sample] = dataclasses.field(default_factory=list)
    """All samples or beams, the best beam first; the first of them is this answer's own text."""
    unknown: tuple[str, ...] = ()
    """Characters of the prompt that the vocabulary lacks and the model did not see: the first 16 different ones."""
    timing: Timing = Timing()
    memory: Optional[Memory] = None
    io: Optional[IO] = None
    speculation: Speculation = dataclasses.field(default_factory=Speculation)
    """What guessed tokens of this text, and how often it was right."""


@dataclasses.dataclass(frozen=True)
class Blank:
    """What stands in a blank."""

    start: int
    """Index of its first token in ``Filling.ids``."""
    ids: list[int]
    text: str
    logprob: float


@dataclasses.dataclass(frozen=True)
class Filling:
    """A text with its blanks filled."""

    text: str
    ids: list[int]
    """The whole row as the model saw it, ``<s>`` first."""
    blanks: list[Blank]
    seed: int = 0
    unknown: tuple[str, ...] = ()
    """Characters of the text that the vocabulary lacks and the model did not see: the first 16 different ones."""
    timing: Timing = Timing()
    memory: Optional[Memory] = None
    io: Optional[IO] = None


@dataclasses.dataclass(frozen=True)
class Score:
    """How likely a target is after its context, in natural logarithms."""

    logprob: float
    """Of the whole target: the sum over its tokens."""
    token_logprobs: list[float]
    ranks: list[int]
    """Of each token among the whole vocabulary; 1 is the most likely one."""
    unknown: tuple[str, ...] = ()
    """Characters that the vocabulary lacks, scored as ``<unk>``: the first 16 different ones."""


@dataclasses.dataclass(frozen=True)
class Choice:
    """Which of several options the model takes."""

    choice: int
    """Index of the option."""
    scores: list[float]
    """One an option: logits with ``rule="choice"``, log-probabilities with ``rule="likelihood"``."""
    unknown: tuple[str, ...] = ()
    """Characters that the vocabulary lacks, scored as ``<unk>``: the first 16 different ones."""


@dataclasses.dataclass(frozen=True)
class Perplexity:
    """How well a text is predicted."""

    perplexity: float
    """Per token."""
    perplexity_per_character: float
    logprob: float
    """The sum over all counted tokens, natural logarithm."""
    tokens: int
    characters: int
    windows: int
    context: int = 0
    """Tokens of a window at most, ``<s>`` among them: what was asked for, or what the model has room for."""
    unknown: tuple[str, ...] = ()
    """Characters of the text that the vocabulary lacks and that were left out: the first 16 different ones."""


class Share(TypedDict, total=False):
    """How much of a model stays in memory."""

    total: int
    pinned: int
    """Stay in memory."""
    streamed: int
    """Are read on each reading of the model."""


class Prediction(TypedDict, total=False):
    """How fast a model will be without guesses."""

    seconds_per_token: float
    reading_seconds_per_token: float
    """What reading the disk takes of it; the processor works meanwhile."""
    computing_seconds_per_token: float
    prefill_seconds: float
    """Until the first token of a text that fills ``Plan.context`` with its prompt."""
    bound: str
    """What it waits for: ``"disk"``, ``"memory"`` or ``"compute"``."""


class DraftForecast(TypedDict, total=False):
    """What guesses will give."""

    mode: str
    """What guesses, or why nothing does."""
    acceptance: float
    """How often a best guess is taken to be right, 0 to 1."""
    acceptance_from: str
    """``"given"``, ``"kept"`` or ``"assumed"``."""
    acceptance_guesses: int
    """Guesses of the longest paths that were counted, where some were."""
    acceptance_guesses_needed: int
    """Guesses that it takes before they count for anything, where there are fewer."""
    acceptance_file: str
    """Where they are kept."""
    drafts: int
    """Guesses for a text on each reading."""
    tokens_per_sweep: float
    seconds_per_token: float
    draft_seconds: float
    """Seconds of guessing on each reading."""
    draft_bytes: int
    """Memory that guessing takes."""
    lent_blocks: int
    """Half layers that a copy of the model computes with the model's own weights."""
    off_seconds_per_token: Optional[float]
    """Without guesses, and with their memory for weights."""
    seconds_saved_by_one_gibibyte: float
    """Of each token, by one GiB more of memory."""


@dataclasses.dataclass(frozen=True)
class Forecast:
    """How fast a model will be with another budget."""

    budget: int
    """Bytes."""
    seconds_per_token: float
    """Without guesses."""
    prefill_seconds: float
    speculative_seconds_per_token: Optional[float] = None
    """With guesses, where some were asked for."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a model needs inside a budget, and how fast it will be. Bytes and seconds."""

    minimum: int
    """The smallest budget that works."""
    budget: int
    planned: Optional[int] = None
    """The sum of all parts, of a model that is open."""
    fits: bool = True
    context: Optional[int] = None
    """Tokens of a text that it is made for."""
    parts: Mapping[str, int] = dataclasses.field(default_factory=dict)
    """Bytes by purpose."""
    blocks: Share = dataclasses.field(default_factory=Share)
    """Half layers."""
    chunks: Share = dataclasses.field(default_factory=Share)
    """Units of reading."""
    streamed_bytes_per_sweep: int = 0
    """Read from the disk for each token."""
    kv_bytes_per_token: Optional[int] = None
    """Memory for one token more of context."""
    max_context: Optional[int] = None
    """Tokens of the longest context that the budget has room for."""
    disk_bytes_per_second: Optional[float] = None
    cost_of_computing: Optional[float] = None
    """Seconds that each second of computing adds to reading where the disk is what is waited for (0 to 1)."""
    cost_of_reading: Optional[float] = None
    """Seconds that each second of reading adds to computing where the processor is what is waited for (0 to 1)."""
    predicted: Prediction = dataclasses.field(default_factory=Prediction)
    """How fast it will be without guesses."""
    speculation: DraftForecast = dataclasses.field(default_factory=DraftForecast)
    """What guesses will give; empty where none were asked for."""
    with_more_memory: tuple[Forecast, ...] = ()
    """How fast it will be with larger budgets, ascending, up to one for the whole model."""


def _logprobs(entries: Optional[Sequence[Fields]]) -> Optional[list[TokenLogprob]]:
    if entries is None:
        return None
    return [
        TokenLogprob(one["id"], one["logprob"], tuple((top["id"], top["logprob"]) for top in one.get("top", ())))
        for one in entries
    ]


def _costs(fields: Fields) -> dict[str, Any]:
    """The parts that answers of several kinds share."""
    kinds: dict[str, Any] = {"timing": Timing, "memory": Memory, "io": IO}
    return {name: made(kind, fields[name]) for name, kind in kinds.items() if fields.get(name) is not None}


def plan(fields: Fields) -> Plan:
    """A plan of the wire's fields."""
    more = tuple(made(Forecast, forecast) for forecast in fields.get("with_more_memory", ()))
    return made(Plan, {**fields, "with_more_memory": more})


def sample(fields: Fields) -> Sample:
    """A sample of the wire's fields."""
    return made(Sample, {**fields, "text": fields.get("text") or "", "logprobs": _logprobs(fields.get("logprobs"))})


def generation(fields: Fields) -> Generation:
    """A generation of the wire's fields."""
    first = sample(fields)
    rest = {
        "text": first.text,
        "logprobs": first.logprobs,
        "choices": [sample(choice) for choice in fields.get("choices", ())] or [first],
    }
    return made(Generation, {**fields, **rest, **_costs(fields)})


def filling(fields: Fields) -> Filling:
    """A filling of the wire's fields."""
    return made(Filling, {**fields, "blanks": [made(Blank, blank) for blank in fields["blanks"]], **_costs(fields)})
