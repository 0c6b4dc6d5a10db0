"""What is asked of files without opening a model: plan, convert and verify."""

from __future__ import annotations

import ctypes
import json
from typing import Any, Optional

from leafcutter import _ffi
from leafcutter._errors import check
from leafcutter._progress import Bar, Progress, reporting
from leafcutter._types import Path, Plan, Size
from leafcutter._types import plan as made_plan
from leafcutter._waiting import interruptibly
from leafcutter._wire import encoded, path_bytes


def plan(
    model: Path,
    *,
    memory: Optional[Size] = None,
    context: Optional[int] = None,
    batch: Optional[int] = None,
    disk_rate: Optional[Size] = None,
    cores: Optional[int] = None,
    speculate: Optional[Path] = None,
    draft_tokens: Optional[int] = None,
    acceptance: Optional[float] = None,
    **options: Any,
) -> Plan:
    """Says whether a model fits a budget and how fast it will be, before anything is allocated.

    Measures processor and disk for some fifteen seconds unless ``disk_rate`` is given.

    Args:
        model: a .leaf file, or the name of a published size such as ``"cpm-ant-10b"``, which needs ``disk_rate``.
        memory: the budget: bytes, ``"2GiB"``, or ``"auto"``.
        context: tokens to hold, the soft prompt and the generated ones included (512).
        batch: texts at the same time (1).
        disk_rate: bytes a second: ``"1GB/s"``.
        cores: compute threads to plan for.
        speculate: what is to guess the next tokens: ``"ngram"`` or a model of the same vocabulary (``"off"``). What it
            gives stands in ``speculation``.
        draft_tokens: guess so many for each text on each reading, also where it does not pay.
        acceptance: how often a best guess is taken to be right, 0 to 1. Without it that is what the command's
            ``--keep-acceptance`` has counted, or a careful figure.
        options: any other option of ``Model``, such as ``logit_rows=1`` for a model that only generates.

    Raises:
        BudgetError: it does not fit; ``minimum`` is the smallest budget that works, in bytes.
    """
    target = path_bytes(model, "model")
    given = {"memory": memory, "context": context, "batch": batch, "disk_rate": disk_rate, "cores": cores}
    drafts = {"speculate": speculate, "draft_tokens": draft_tokens, "acceptance": acceptance}
    body = encoded({**given, **drafts, **options})
    library = _ffi.library()

    def call() -> str:
        text = ctypes.c_void_p()
        check(library.lc_plan(target, body, ctypes.byref(text)))
        return _ffi.take_string(text)

    return made_plan(json.loads(interruptibly(call)))


def convert(
    source: Path,
    target: Path,
    *,
    weights: Optional[str] = None,
    memory: Optional[Size] = None,
    threads: Optional[int] = None,
    config: Optional[Path] = None,
    vocab: Optional[Path] = None,
    masks: Optional[Path] = None,
    force: Optional[bool] = None,
    progress: Progress = False,
    **options: Any,
) -> None:
    """Makes a model file of a checkpoint. One that was interrupted goes on when it is called again.

    Args:
        source: a Hugging Face folder, or a CPM-Live .pt file.
        target: the .leaf file to make.
        weights: ``"int8"`` (default), ``"q4"``, ``"q3"``, ``"f16"`` or ``"f32"``.
        memory: the most to take (under 1 GiB).
        config: the configuration, if it does not lie beside the weights.
        vocab: vocab.txt, likewise.
        masks: BMCook's masks of a pruned model.
        force: replace ``target`` if it exists.
        progress: True for a bar by tqdm, or a function of bytes done and in total.
        options: any other option of the command, in snake_case.

    Raises:
        BadInputError: the checkpoint is damaged or of another model.
        FileError: reading or writing failed.
        UsageError: ``target`` exists, or an option makes no sense.
    """
    paths = path_bytes(source, "source"), path_bytes(target, "target")
    given = {"weights": weights, "memory": memory, "threads": threads, "config": config, "vocab": vocab, "masks": masks}
    body = encoded({**given, "force": force, **options})
    library = _ffi.library()
    with Bar(progress, "converting", "B") as bar:
        reporting(lambda note: check(library.lc_convert(*paths, body, note, None)), bar)


def verify(model: Path, *, progress: Progress = False) -> None:
    """Reads a whole model file and checks every byte by its digest.

    Args:
        model: a .leaf file.
        progress: True for a bar by tqdm, or a function of bytes done and in total.

    Raises:
        BadInputError: the file is damaged; the first bad block is named.
        FileError: it cannot be read.
    """
    path = path_bytes(model, "model")
    library = _ffi.library()
    with Bar(progress, "verifying", "B") as bar:
        reporting(lambda note: check(library.lc_verify(path, note, None)), bar)
