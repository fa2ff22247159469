"""What the end-to-end tests share: the server as a process, an HTTP client, a WebSocket client, tokens, sample data.

Nothing here knows how the server works inside: it is started, spoken to and killed as a user would.
"""

from .conditions import DEADLINE_S, SLOWDOWN, wait_until
from .http_client import Client, Response, SqlError
from .server import Server, ServerConfig, StartError
from .ws_client import Live, WsClient

__all__ = [
    "Client",
    "DEADLINE_S",
    "Live",
    "Response",
    "SLOWDOWN",
    "Server",
    "ServerConfig",
    "SqlError",
    "StartError",
    "WsClient",
    "wait_until",
]
