"""What the end-to-end tests share: the server as a process, an HTTP client, a WebSocket client, tokens, sample data.

Nothing here knows how the server works inside: it is started, spoken to and killed as a user would.
"""

from .conditions import DEADLINE_S, SLOWDOWN, wait_until
from .http_client import Client, Response, SqlError
from .load import GONE, LoadThread, refuse_failures
from .server import Server, ServerConfig, StartError
from .ws_client import Live, WsClient

__all__ = [
    "Client",
    "DEADLINE_S",
    "GONE",
    "Live",
    "LoadThread",
    "Response",
    "SLOWDOWN",
    "Server",
    "ServerConfig",
    "SqlError",
    "StartError",
    "WsClient",
    "refuse_failures",
    "wait_until",
]
