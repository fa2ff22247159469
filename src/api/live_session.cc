#include "api/live_session.h"

#include <algorithm>
#include <expected>

#include "api/live_subscription.h"
#include "live/frames.h"
#include "protocol/live_messages.h"

namespace kalamdb::api {

namespace {

constexpr uint16_t kPolicyViolation = 1008;
constexpr uint16_t kInternalError = 1011;
// How far ahead a look at the token's expiry is scheduled: what is scheduled outlives its socket.
constexpr int64_t kExpiryCheckMs = 60'000;

bool has_pair(std::string_view query, std::string_view pair) {
  while (!query.empty()) {
    const size_t end = std::min(query.find('&'), query.size());
    if (query::equal_ignoring_case(query.substr(0, end), pair)) return true;
    query.remove_prefix(std::min(end + 1, query.size()));
  }
  return false;
}

// Callbacks come one at a time on the connection's executor; subscriptions are worked on by the worker pool, one
// message at a time and in their order.
class LiveSession : public net::WebSocketSession, public std::enable_shared_from_this<LiveSession> {
 public:
  LiveSession(const Services& services, std::shared_ptr<net::WebSocketConnection> connection)
      : services_(services),
        connection_(std::move(connection)),
        subscriptions_(std::make_shared<LiveSubscriptions>(services, connection_)) {}

  void start(const net::HttpRequest& upgrade) {
    gzip_ = !has_pair(upgrade.query, "compress=false");
    constexpr std::string_view kBearer = "Bearer ";
    const std::string_view header = upgrade.header("Authorization");
    if (header.starts_with(kBearer)) {
      if (has_pair(upgrade.query, "compression=none")) protocol_.compression = protocol::Compression::kNone;
      if (has_pair(upgrade.query, "serialization=msgpack")) {
        protocol_.serialization = protocol::Serialization::kMsgpack;
      }
      return authenticate(header.substr(kBearer.size()));
    }
    const int64_t timeout_ms = services_.options.auth_timeout_ms;
    connection_->post_after(timeout_ms, [weak = weak_from_this(), timeout_ms] {
      const auto self = weak.lock();
      if (self == nullptr || self->identity_ || self->refused_) return;
      self->refuse(
          "Authentication timeout - no auth message received within " + std::to_string(timeout_ms / 1000) + " seconds",
          "Authentication timeout");
    });
  }

  void on_message(std::string payload, bool binary) override {
    if (refused_) return;
    subscriptions_->note_message();
    if (binary && !(identity_ && speaks_msgpack())) {
      return send(live::error_frame("protocol", "UNSUPPORTED_DATA", "Binary not supported"));
    }
    if (!admit_message()) return send(live::error_frame("rate_limit", "RATE_LIMIT_EXCEEDED", "Too many messages"));
    if (binary) {
      auto json = protocol::decode_msgpack(payload, services_.options.max_message_bytes);
      if (!json) return send(live::error_frame("protocol", "UNSUPPORTED_DATA", json.error().message));
      payload = *std::move(json);
    }
    auto message = protocol::parse_client_message(payload);
    if (!message) return connection_->close(kInternalError, message.error().message);
    std::visit([this](auto& parsed) { handle(parsed); }, *message);
  }

  void on_oversized(size_t) override {
    send(live::error_frame(
        "protocol", "MESSAGE_TOO_LARGE",
        "Message exceeds maximum size of " + std::to_string(services_.options.max_message_bytes) + " bytes"));
  }

  void on_drained() override { subscriptions_->drained(); }

  void on_closed() override {
    if (identity_) services_.hub.forget_socket(identity_->user, watch_);
    subscriptions_->close();
  }

 private:
  void send(net::FramePtr frame) { connection_->send(std::move(frame)); }

  void refuse(const std::string& message, const std::string& reason) {
    refused_ = true;
    send_auth_error(message);
    connection_->close(kPolicyViolation, reason);
  }

  void send_auth_error(const std::string& message) {
    send(live::make_frame(protocol::auth_error_message(message), protocol::kPlainText));
  }

  // Whose token it is, or what to tell the client.
  std::expected<auth::Identity, std::string> check(std::string_view token) {
    const auth::Peer peer{connection_->peer_address(), auth::is_loopback(connection_->peer_address())};
    if (!services_.authenticator.admit(peer)) {
      return std::unexpected("Too many authentication attempts. Please retry shortly.");
    }
    auto identity = services_.authenticator.authenticate_token(token);
    if (!identity) return std::unexpected("Invalid credentials");
    return *std::move(identity);
  }

  void authenticate(std::string_view token) {
    auto identity = check(token);
    if (!identity) return refuse(identity.error(), "Authentication failed");
    identity_ = *std::move(identity);
    const protocol::FrameFormat format{.gzip = gzip_ && protocol_.compression == protocol::Compression::kGzip,
                                       .msgpack = speaks_msgpack()};
    subscriptions_->open({identity_->user, identity_->user, identity_->role, false}, format);
    watch_ = services_.hub.watch_user(identity_->user, identity_->role, [connection = connection_] {
      connection->close(kPolicyViolation, "The user was changed; log in again");
    });
    // Changed between the two: nobody told this socket.
    if (!services_.authenticator.authenticate_token(token)) {
      return refuse("Invalid credentials", "Authentication failed");
    }
    send_auth_success();
    watch_expiry();
  }

  // Another token of the same user and role keeps the socket open for longer; no other is of any consequence.
  void renew(std::string_view token) {
    const auto identity = check(token);
    if (!identity) return send_auth_error(identity.error());
    if (identity->user != identity_->user || identity->role != identity_->role) {
      return send_auth_error("The token is another user's; this socket stays that of '" + identity_->user.value + "'");
    }
    identity_->valid_until_us = std::max(identity_->valid_until_us, identity->valid_until_us);
    send_auth_success();
  }

  void watch_expiry() {
    if (refused_) return;
    const int64_t left_us = identity_->valid_until_us - services_.clock.now_us();
    if (left_us <= 0) {
      refused_ = true;
      return connection_->close(kPolicyViolation, "The token has expired; connect again with a new one");
    }
    connection_->post_after(std::min(left_us / 1000 + 1, kExpiryCheckMs), [weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->watch_expiry();
    });
  }

  bool speaks_msgpack() const { return protocol_.serialization == protocol::Serialization::kMsgpack; }

  void send_auth_success() {
    send(live::make_frame(protocol::auth_success_message(identity_->user.value, lower_name(identity_->role), protocol_),
                          protocol::kPlainText));
  }

  // One second's worth at a time.
  bool admit_message() {
    const int64_t now_us = services_.clock.monotonic_us();
    if (now_us - window_started_us_ >= 1'000'000) {
      window_started_us_ = now_us;
      messages_in_window_ = 0;
    }
    return ++messages_in_window_ <= services_.options.max_messages_per_second;
  }

  void handle(protocol::Authenticate& message) {
    if (identity_) return renew(message.token);
    protocol_ = message.protocol;
    authenticate(message.token);
  }

  void handle(protocol::Subscribe& message) {
    if (!identity_) return send(live::error_frame("subscribe", "AUTH_REQUIRED", "Authentication required"));
    if (message.id.empty()) {
      return send(
          live::error_frame("invalid_subscription", "INVALID_SUBSCRIPTION_ID", "Subscription ID cannot be empty"));
    }
    subscriptions_->subscribe(std::move(message));
  }

  void handle(protocol::NextBatch& message) {
    if (identity_) subscriptions_->next_batch(std::move(message));
  }

  void handle(protocol::Unsubscribe& message) {
    if (identity_) subscriptions_->unsubscribe(std::move(message.subscription_id));
  }

  void handle(protocol::Ping&) {}  // any frame keeps the socket open

  const Services& services_;
  const std::shared_ptr<net::WebSocketConnection> connection_;
  const std::shared_ptr<LiveSubscriptions> subscriptions_;
  std::optional<auth::Identity> identity_;
  protocol::LiveProtocol protocol_;
  bool gzip_ = true;
  bool refused_ = false;
  uint64_t watch_ = 0;
  int64_t window_started_us_ = 0;
  uint32_t messages_in_window_ = 0;
};

}  // namespace

std::optional<net::HttpResponse> check_origin(const Services& services, const net::HttpRequest& upgrade) {
  const ApiOptions& options = services.options;
  const auto& allowed = options.allowed_origins;
  const bool any = allowed.empty() || std::ranges::find(allowed, "*") != allowed.end();
  const std::string_view origin = upgrade.header("Origin");
  net::HttpResponse refusal;
  refusal.status = 403;
  refusal.content_type = "text/plain";
  if (origin.empty() && options.strict_origin_check) {
    refusal.body = "Origin header required";
    return refusal;
  }
  if (any || origin.empty() || std::ranges::find(allowed, origin) != allowed.end()) return std::nullopt;
  refusal.body = "Origin not allowed";
  return refusal;
}

std::shared_ptr<net::WebSocketSession> make_live_session(const Services& services,
                                                         std::shared_ptr<net::WebSocketConnection> connection,
                                                         const net::HttpRequest& upgrade) {
  auto session = std::make_shared<LiveSession>(services, std::move(connection));
  session->start(upgrade);
  return session;
}

}  // namespace kalamdb::api
