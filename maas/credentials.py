"""Addresses as messages, logs and records show them: without the credentials that they may hold.

Credentials stand in three places: before the host (`postgresql://user:secret@host`), as a token there
(`https://token@host`), and in the query (`?access_token=secret`). Nothing here parses or opens an address.
"""

import re
from functools import cache

HIDDEN = "***"
_DATABASE = r"(?:postgres|postgresql|mysql|mariadb|mssql|oracle)(?:\+\w+)?://"
"""Addresses of SQLAlchemy, whose passwords may hold a slash."""


@cache
def _rules() -> tuple[tuple[re.Pattern[str], str], ...]:
    """Returns what is looked for, and what is shown in its place; compiled when it is first wanted."""
    return (
        (re.compile(rf"({_DATABASE}[^\s:/@]*):\S*@", re.IGNORECASE), rf"\1:{HIDDEN}@"),
        (re.compile(r"(\b[a-z][a-z0-9+.-]*://)[^\s/?#]*:x-oauth-basic@", re.IGNORECASE), rf"\1{HIDDEN}@"),
        (re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s:/?#]*):[^\s/?#]*@", re.IGNORECASE), rf"\1:{HIDDEN}@"),
        (re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s:/?#@]+):(?!\d+[/?#])\S*@", re.IGNORECASE), rf"\1:{HIDDEN}@"),
        (re.compile(r"(\bhttps?://)[^\s:/?#]+@", re.IGNORECASE), rf"\1{HIDDEN}@"),
        (
            re.compile(
                r"([?&;#][^\s=&;#]*(?:token|pass|pwd|secret|key|sig|cred|auth|odbc_connect)[^\s=&;#]*=)[^\s&#'\"]+",
                re.IGNORECASE,
            ),
            rf"\1{HIDDEN}",
        ),
    )


def without_credentials(text: str) -> str:
    """Returns a text with `***` in place of every password and token of the addresses in it.

    A user's name stays, as it shows whose password it was; a port stays, and a path that holds `@`.

    Example:
        >>> without_credentials("postgresql://user:secret@host/mlflow is away")
        'postgresql://user:***@host/mlflow is away'
    """
    for pattern, shown in _rules() if "://" in text or "=" in text else ():
        text = pattern.sub(shown, text)
    return text
