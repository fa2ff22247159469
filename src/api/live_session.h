// GET /v1/ws: one WebSocket of live queries.
#pragma once

#include <memory>
#include <optional>

#include "api/api.h"
#include "net/websocket.h"

namespace kalamdb::api {

// Whether a browser page of that origin may connect.
std::optional<net::HttpResponse> check_origin(const Services& services, const net::HttpRequest& upgrade);

// The session of an accepted socket. `services` must outlive it.
std::shared_ptr<net::WebSocketSession> make_live_session(const Services& services,
                                                         std::shared_ptr<net::WebSocketConnection> connection,
                                                         const net::HttpRequest& upgrade);

}  // namespace kalamdb::api
