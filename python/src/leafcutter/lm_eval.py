"""A model for lm-evaluation-harness::

    python -m leafcutter.lm_eval --model leafcutter --model_args path=ant.leaf,memory=2GiB --tasks TASK

The harness imports no models of others by itself, so this module is run in its place; its options are the harness's.
In a program, importing this module is enough for ``lm_eval.simple_evaluate(model="leafcutter", model_args=...)``.

A context is read in both directions and its continuation causally, as the model was trained. The numbers are those of
``leafcutter score``. Rolling log-likelihood is that of ``leafcutter perplexity``: everything after ``<s>`` causally.
"""

from __future__ import annotations

import sys
from typing import Any, Iterable, Optional, Union

import leafcutter
from leafcutter import _extras

try:
    from lm_eval.api.model import LM
    from lm_eval.api.registry import register_model
    from tqdm import tqdm
except ModuleNotFoundError as error:
    lacking = _extras.missing("leafcutter.lm_eval", error, "lm_eval")
    if __name__ == "__main__":
        sys.exit(str(lacking))
    raise lacking from None

_BOS = 6
_MAX_TOKENS = 256
_SEQUENCES = 8
_CONTEXT = 512
_SAMPLING = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty", "seed")


@register_model("leafcutter")
class LeafcutterLM(LM):  # type: ignore[misc, unused-ignore]
    """Answers the harness on shared readings of one model."""

    def __init__(
        self,
        path: str,
        batch_size: Union[int, str, None] = None,
        max_batch_size: Optional[int] = None,
        device: Optional[str] = None,
        **options: Any,
    ) -> None:
        """
        Args:
            path: a .leaf file.
            batch_size: texts on a reading of the model at most (8).
            max_batch_size: not used: memory is planned when the model is opened.
            device: not used.
            options: of ``leafcutter.Model``: ``memory``, ``context``, ``threads``, ...
        """
        super().__init__()
        is_automatic = batch_size is None or str(batch_size).startswith("auto")
        # A continuation may be as long as there is room for.
        options.setdefault("logit_rows", options.setdefault("context", _CONTEXT))
        options.setdefault("sequences", _SEQUENCES if is_automatic else int(batch_size or 1))
        self.model = leafcutter.Model(path, **options)
        info = self.model.info
        # Tokens of a text: the soft prompt's rows are in the context, too.
        self.max_length: int = info["context"] - info["prompt_length"]
        # Tokens of a window whose probabilities are wanted, all of them.
        self.window: int = min(self.max_length, info["logit_rows"])

    @property
    def tokenizer_name(self) -> str:
        return str(self.model.path)

    def loglikelihood(self, requests: list[Any], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """Of each ``(context, continuation)``: the continuation's log-probability, and whether it is the greedy one."""
        pairs = [request.args for request in requests]
        answers: list[tuple[float, bool]] = []
        # An empty continuation is certain; the library has nothing to score then.
        scores = self.model.map((self._encoded(*pair) for pair in pairs if pair[1]), kind="score")
        for pair in tqdm(pairs, desc="loglikelihood", disable=disable_tqdm):
            answer = (0.0, True)
            if pair[1]:
                score = next(scores)
                assert isinstance(score, leafcutter.Score)
                answer = (score.logprob, all(rank == 1 for rank in score.ranks))
            answers.append(answer)
            self.cache_hook.add_partial("loglikelihood", pair, answer)
        return answers

    def _encoded(self, context: str, continuation: str) -> tuple[list[int], list[int]]:
        """Both as ids. What is too long loses the beginning of its context."""
        target = self.model.tokenize(continuation)
        room = self.max_length - len(target) - 1
        before = self.model.tokenize(context)
        return [_BOS] + before[max(0, len(before) - max(0, room)) :], target

    def loglikelihood_rolling(self, requests: list[Any], disable_tqdm: bool = False) -> list[float]:
        """Of each text: its log-probability, in windows of what the model holds, each token once."""
        texts = [request.args for request in requests]
        answers: list[float] = []
        scores = self.model.map((text for (text,) in texts), kind="perplexity", context=self.window)
        for score, text in zip(tqdm(scores, "loglikelihood_rolling", len(texts), disable=disable_tqdm), texts):
            answers.append(score.logprob)
            self.cache_hook.add_partial("loglikelihood_rolling", text, score.logprob)
        return answers

    def generate_until(self, requests: list[Any], disable_tqdm: bool = False) -> list[str]:
        """Of each ``(context, options)``: what the model writes until one of the texts that end it."""
        asked = [request.args for request in requests]
        answers: list[str] = []
        texts = self.model.map(self._generations(asked))
        for answer, (context, options) in zip(tqdm(texts, "generate_until", len(asked), disable=disable_tqdm), asked):
            answers.append(answer.text)
            self.cache_hook.add_partial("generate_until", (context, options), answer.text)
        return answers

    def _generations(self, asked: Iterable[tuple[str, dict[str, Any]]]) -> Iterable[dict[str, Any]]:
        for context, options in asked:
            until = options.get("until") or []
            stop = [until] if isinstance(until, str) else list(until)
            max_tokens = min(int(options.get("max_gen_toks", _MAX_TOKENS)), self.max_length - 1)
            ids = [one for one in self.model.tokenize(context) if one != 1]
            fields: dict[str, Any] = {
                # Its end counts where there is not room for all.
                "input_ids": [_BOS] + ids[max(0, len(ids) - max(0, self.max_length - max_tokens - 1)) :],
                "max_tokens": max_tokens,
                "stop": [text for text in stop if text],
            }
            temperature = float(options.get("temperature") or 0.0)
            if options.get("do_sample", temperature > 0) and temperature > 0:
                fields.update({name: options[name] for name in _SAMPLING if options.get(name) is not None})
            else:
                fields["greedy"] = True
            yield fields


def main() -> None:
    """Runs the harness, which knows this model now."""
    from lm_eval.__main__ import cli_evaluate

    cli_evaluate()


if __name__ == "__main__":
    main()
