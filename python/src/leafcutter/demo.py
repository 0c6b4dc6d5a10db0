"""Lets the demo model recite: ``python -m leafcutter.demo``, inside of Leafcutter's repository."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import leafcutter

_SOURCE = Path("Examples") / "demo-model"
_TITLES = ("《登鹳雀楼》王之涣", "《枫桥夜泊》张继")
# Tokens to hold: the soft prompt's 32, the title and the poem.
_CONTEXT = 128
# Generation asks for the probabilities of one token at a time.
_LOGIT_ROWS = 1


def _repository() -> Path:
    """The folder that holds the demo model: the current one, or one above it or above this package."""
    here = Path.cwd()
    for folder in (here, *here.parents, *Path(__file__).resolve().parents):
        if (folder / _SOURCE / "config.json").is_file():
            return folder
    raise SystemExit(
        "leafcutter.demo: the demo model is in Leafcutter's repository and not in this package; "
        "run this inside of the repository"
    )


def demo_model() -> Path:
    """The demo model's file; made of the checkpoint in the repository when it is not there yet."""
    repository = _repository()
    source, target = repository / _SOURCE, repository / ".build" / "demo" / "demo.leaf"
    if not target.exists() or target.stat().st_mtime < (source / "model.safetensors").stat().st_mtime:
        print("Converting a small CPM-Ant that was trained on classical Chinese poems ...")
        target.parent.mkdir(parents=True, exist_ok=True)
        leafcutter.convert(source, target, force=True)
    return target


def main() -> None:
    """Recites two poems at the smallest budget that the plan allows."""
    path = demo_model()
    minimum = leafcutter.plan(path, memory="4GiB", context=_CONTEXT, logit_rows=_LOGIT_ROWS, disk_rate="1GB/s").minimum
    print(f"The model may add {minimum / 2**20:.0f} MiB to this process.")
    with leafcutter.Model(path, memory=minimum, context=_CONTEXT, logit_rows=_LOGIT_ROWS) as model:
        for title in _TITLES:
            print(f"\n{title}")
            began, tokens = time.monotonic(), 0
            for piece in model.generate(title + "\n", greedy=True, max_tokens=64):
                print(piece.text, end="", flush=True)
                tokens += piece.id is not None
            print(f"\n{tokens} tokens in {time.monotonic() - began:.2f} s; peak {model.memory.peak / 2**20:.1f} MiB")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
    except leafcutter.Error as error:
        sys.exit(f"leafcutter.demo: {error}")
