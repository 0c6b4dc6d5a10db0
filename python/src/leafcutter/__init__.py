"""Runs CPM-Ant, the Chinese language model of 10 billion parameters, inside a memory budget of your choice.

::

    import leafcutter

    with leafcutter.Model("ant.leaf", memory="2GiB") as model:
        for piece in model.generate("今天天气不错，"):
            print(piece.text, end="", flush=True)
"""

from leafcutter._errors import (
    BadInputError,
    BudgetError,
    BusyError,
    Cancelled,
    Error,
    FileError,
    PerformanceWarning,
    UsageError,
)
from leafcutter._files import convert, plan, verify
from leafcutter._jobs import BatchResult, Job, batch
from leafcutter._model import Model
from leafcutter._plot import plot_memory_speed
from leafcutter._stream import GenerationStream
from leafcutter._types import (
    IO,
    Blank,
    Choice,
    DraftForecast,
    FillOptions,
    Filling,
    Forecast,
    FormOptions,
    GenerateOptions,
    LogitsOptions,
    Generation,
    Memory,
    Perplexity,
    Piece,
    Plan,
    Prediction,
    Sample,
    Score,
    Share,
    Speculation,
    Timing,
    TokenLogprob,
)
from leafcutter._version import __version__

__all__ = [
    "IO",
    "BadInputError",
    "BatchResult",
    "Blank",
    "BudgetError",
    "BusyError",
    "Cancelled",
    "Choice",
    "DraftForecast",
    "Error",
    "FileError",
    "FillOptions",
    "Filling",
    "Forecast",
    "FormOptions",
    "GenerateOptions",
    "Generation",
    "GenerationStream",
    "Job",
    "LogitsOptions",
    "Memory",
    "Model",
    "PerformanceWarning",
    "Perplexity",
    "Piece",
    "Plan",
    "Prediction",
    "Sample",
    "Score",
    "Share",
    "Speculation",
    "Timing",
    "TokenLogprob",
    "UsageError",
    "__version__",
    "batch",
    "convert",
    "plan",
    "plot_memory_speed",
    "verify",
]
