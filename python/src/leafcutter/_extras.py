"""What is said where packages of an extra are missing."""

from __future__ import annotations

import sys


def missing(module: str, error: ModuleNotFoundError, extra: str) -> ImportError:
    """The error for a module that cannot be imported without an extra; one that is run ends with its sentence.

    Args:
        module: whose import failed.
        error: says what was not found.
        extra: the name of the wheel's extra that installs it.

    Raises:
        ImportError: it is not the extra that is missing.
        SystemExit: ``python -m`` is looking for the module.
    """
    package = (error.name or "").partition(".")[0]
    if package == "leafcutter":
        raise error
    sentence = f"{module} needs {package}, which is not installed; pip install 'leafcutter[{extra}]'"
    # While Python looks for the module that it is to run, this stands in place of that module's path.
    if sys.argv[:1] == ["-m"]:
        sys.exit(sentence)
    return ImportError(sentence, name=error.name)
