"""No password of an address is shown: of each place where one may stand, and of each message that shows an address."""

import pytest

from maas.credentials import without_credentials
from maas.errors import ParityError, RegistryError, one_line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://user:secret@127.0.0.1:1/mlflow", "postgresql://user:***@127.0.0.1:1/mlflow"),
        ("http://user:secret@server:5000", "http://user:***@server:5000"),
        ("http://user:s%40cret@server", "http://user:***@server"),
        ("http://user:se@cret@server/x", "http://user:***@server/x"),
        ("https://user:se/cret@server/x", "https://user:***@server/x"),
        ("postgresql+psycopg2://u:se/c?r#et@h/db?sslmode=x", "postgresql+psycopg2://u:***@h/db?sslmode=x"),
        ("redis://:secret@host", "redis://:***@host"),
        ("http://user:secret@[::1]:5000/x", "http://user:***@[::1]:5000/x"),
        ("HTTP://U:SECRET@HOST", "HTTP://U:***@HOST"),
        ("https://ghp_secret@github.com/x", "https://***@github.com/x"),
        ("https://ghp_secret:x-oauth-basic@github.com", "https://***@github.com"),
        ("https://host/path?access_token=secret&page=2", "https://host/path?access_token=***&page=2"),
        ("https://host/a?page=2&X-Amz-Signature=secret", "https://host/a?page=2&X-Amz-Signature=***"),
        ("wasbs://c@account.blob.net/a?sig=secret%3D", "wasbs://c@account.blob.net/a?sig=***"),
        ("mssql+pyodbc:///?odbc_connect=UID%3Du;PWD%3Dsecret", "mssql+pyodbc:///?odbc_connect=***"),
        (
            "registry.tracking_uri=http://a:secret@b and 'http://c:secret@d'",
            "registry.tracking_uri=http://a:***@b and 'http://c:***@d'",
        ),
    ],
)
def test_credentials_are_hidden_when_an_address_is_shown(text, shown):
    assert without_credentials(text) == shown
    assert "secret" not in shown.lower()


@pytest.mark.parametrize(
    "text",
    [
        "sqlite:////a@b/mlflow.db",
        "http://server",
        "http://server:5000/models/a@champion",
        "models:/name@champion",
        "user@host:path",
        "s3://bucket/folder",
        "optimizer.lr=0.1",
        "https://host/a?page=2#top",
    ],
)
def test_address_stays_as_it_is_when_it_holds_no_credentials(text):
    assert without_credentials(text) == text


def test_message_of_an_error_hides_credentials_when_it_names_an_address():
    assert str(RegistryError("http://u:secret@h refused.")) == "http://u:***@h refused."
    assert str(ParityError("https://u:secret@h", found=1.0, allowed=0.0)) == "https://u:***@h"
    assert one_line(ValueError("bad address\n http://u:secret@h.")) == "bad address http://u:***@h"
