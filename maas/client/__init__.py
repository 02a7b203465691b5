"""A client of a server of maas: raw inputs in, the predictions of `bundle.predict` out, or texts. It opens no model.

What a call sends, waits for and gives is written once, as steps (`maas.client.calls`), which `Client` follows with
blocking HTTP and `AsyncClient` with asyncio.
"""

from maas.client.asynchronous import AsyncClient
from maas.client.blocking import Client

__all__ = ["AsyncClient", "Client"]
