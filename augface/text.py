"""Text where it leaves the program: on a terminal and in tables that people open. Names in data are anybody's."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

LINE_BREAKS = re.compile(r"\s*[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]\s*")
FORMULA = ("=", "+", "-", "@", "\n")
"""How a cell begins that spreadsheets compute instead of showing it (OWASP, CSV injection)."""


def printable(text: str) -> str:
    """Text of several lines for a terminal: whatever would move the cursor, or turn letters round, is spelt out.

    >>> print(printable("a\\x1b[2Jb"))
    a\\x1b[2Jb
    """
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() or letter == "\n" else _spelt_out(letter) for letter in text)


def one_line(text: str) -> str:
    """Text for one line of a terminal, such as a message or a cell.

    >>> one_line("first\\n  second")
    'first second'
    """
    return printable(LINE_BREAKS.sub(" ", text))


def csv_text(table: pd.DataFrame) -> str:
    """A table as CSV, without its index. A text that a spreadsheet would take for a formula gets a `'` before it, and
    control codes are spelt out.

    >>> import pandas as pd
    >>> print(csv_text(pd.DataFrame({"file": ["=1+1", "a.png"], "n": [-1, 2]})), end="")
    file,n
    '=1+1,-1
    a.png,2
    """
    plain = table.copy()
    for name in table.select_dtypes(exclude=["number", "bool"]):
        plain[name] = table[name].map(_no_formula, na_action="ignore")
    return plain.rename(columns=_no_formula).to_csv(index=False)


def _no_formula(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return f"'{printable(value)}" if value.startswith(FORMULA) else printable(value)


def _spelt_out(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")


def counted(count: int, noun: str) -> str:
    """A number with its noun.

    >>> counted(1, "face"), counted(2000, "face")
    ('1 face', '2,000 faces')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
