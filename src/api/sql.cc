// POST /v1/api/sql: authenticate, parse, run, answer. Statements of the fast lane are answered from the IO thread or
// the committer's; everything else runs on a worker and streams its rows.
#include <algorithm>

#include "api/api.h"
#include "protocol/auth_messages.h"
#include "protocol/error_codes.h"
#include "protocol/sql_request.h"
#include "protocol/sql_response.h"

namespace kalamdb::api {

namespace {

// A response up to this size is sent whole, with its length; a larger one in parts of this size.
constexpr size_t kPartBytes = 256 << 10;

// One request on its way to its answer.
class SqlExchange : public std::enable_shared_from_this<SqlExchange> {
 public:
  SqlExchange(const Services& services, ExchangePtr exchange)
      : services_(services), exchange_(std::move(exchange)), started_us_(services.clock.monotonic_us()) {}

  void start() {
    call_.request_id = choose_request_id();
    const std::string_view authorization = exchange_->request().header("Authorization");
    if (auto identity = services_.authenticator.authenticate(authorization)) return authenticated(*identity);
    services_.authenticator.authenticate_basic(
        authorization, peer_of(exchange_->request()),
        [self = shared_from_this()](const auth::AuthResult<auth::Identity>& result) { self->authenticated(result); });
  }

 private:
  int64_t took_us() const { return services_.clock.monotonic_us() - started_us_; }

  void respond(int status, std::string body) {
    net::HttpResponse response;
    response.status = status;
    response.body = std::move(body);
    response.headers.push_back({"X-Request-ID", call_.request_id});
    exchange_->respond(std::move(response));
  }

  // The client's own id if it is a sane one, else a new one.
  std::string choose_request_id() const {
    const std::string_view given = exchange_->request().header("X-Request-ID");
    const bool sane = !given.empty() && given.size() <= 128 &&
                      std::ranges::all_of(given, [](unsigned char c) { return c > ' ' && c < 0x7f; });
    return sane ? std::string(given) : std::to_string(services_.queries.services().ids.next());
  }

  void authenticated(const auth::AuthResult<auth::Identity>& identity) {
    if (!identity) {
      const auth::AuthFailure& failure = identity.error();
      return respond(failure.http_status, protocol::auth_failure_body(failure.code, failure.message, took_us()));
    }
    admin_ = is_admin(identity->role);
    const bool exempt = peer_of(exchange_->request()).loopback && !services_.options.rate_limit_loopback;
    if (!exempt && !services_.user_limiter.admit(identity->user.value)) {
      return respond(429, protocol::sql_error_body("RATE_LIMIT_EXCEEDED",
                                                   "Too many queries per second. Please slow down.", took_us()));
    }
    auto request = protocol::parse_sql_request(exchange_->request().body, services_.options.max_nesting);
    if (!request) return respond_error(request.error(), std::nullopt);
    call_.caller.actor = call_.caller.user = identity->user;
    call_.caller.role = identity->role;
    call_.sql = std::move(request->sql);
    call_.parameters = std::move(request->params);
    if (request->namespace_id && !request->namespace_id->empty())
      call_.namespace_id = query::lower(*request->namespace_id);
    call_.host = exchange_->request().header("Host");
    const auto done = [self = shared_from_this()](std::expected<query::StatementResult, query::RequestError> result) {
      self->fast_done(std::move(result));
    };
    if (!services_.queries.try_fast(call_, done)) run_on_worker();
  }

  void respond_error(const Error& error, std::optional<size_t> statement) {
    const auto wire = protocol::to_wire(error, admin_, statement);
    writer_.finish_error(wire, took_us(), details());
    respond(wire.http_status, writer_.take());
  }

  // The offending SQL, for administrators.
  std::optional<std::string> details() const {
    return admin_ && !call_.sql.empty() ? std::optional(query::redact_secrets(call_.sql)) : std::nullopt;
  }

  void fast_done(std::expected<query::StatementResult, query::RequestError> result) {
    if (!result && result.error().error.code == ErrorCode::kConflict) return run_on_worker();
    if (!result) return respond_error(result.error().error, result.error().statement);
    if (auto written = write(std::move(*result)); !written) return respond_error(written.error(), 1);
    writer_.finish(took_us());
    respond(200, writer_.take());
  }

  void run_on_worker() {
    if (services_.workers.post([self = shared_from_this()] { self->run(); })) return;
    respond_error(Error(ErrorCode::kUnavailable, "The server is busy or stopping; try again shortly"), std::nullopt);
  }

  void run() {
    on_worker_ = true;
    call_.is_abandoned = [this] { return exchange_->client_gone(); };
    const auto error =
        services_.queries.run(call_, [this](query::StatementResult result) { return write(std::move(result)); });
    if (!error) {
      writer_.finish(took_us());
    } else if (!streaming_) {
      const auto statement = error->statement == 0 ? std::nullopt : std::optional(error->statement);
      return respond_error(error->error, statement);
    } else {
      writer_.finish_error(protocol::to_wire(error->error, admin_, error->statement), took_us(), details());
    }
    if (!streaming_) return respond(200, writer_.take());
    const bool complete = write_part(writer_.take()).has_value();
    exchange_->finish(complete);
  }

  Result<> write(query::StatementResult result) {
    if (result.rows == nullptr) {
      writer_.add_message_result(result.row_count, result.message, result.as_user);
      return {};
    }
    std::vector<protocol::Field> fields;
    for (const auto& column : result.rows->columns()) {
      fields.push_back({column.name, column.type, column.source ? protocol::flags_of(*column.source) : uint8_t{0},
                        column.inline_json});
    }
    writer_.begin_result(fields);
    while (true) {
      KALAM_TRY(const duck::ResultBatch* batch, result.rows->next());
      if (batch == nullptr) break;
      writer_.add_rows(batch->row_count(), [&](size_t row, size_t column) { return batch->cell(row, column); });
      if (!result.is_committed) KALAM_CHECK(check_result_size());
      if (on_worker_ && writer_.size() >= kPartBytes) KALAM_CHECK(send_part());
    }
    writer_.end_result(result.as_user);
    return {};
  }

  Result<> check_result_size() const {
    const ApiOptions& options = services_.options;
    if (options.max_result_rows > 0 && writer_.rows_in_result() > options.max_result_rows) {
      return fail(ErrorCode::kResultTooLarge, "The result has more than " + std::to_string(options.max_result_rows) +
                                                  " rows (limits.max_result_rows); add a LIMIT or a filter");
    }
    if (options.max_result_bytes > 0 && sent_bytes_ + writer_.size() > options.max_result_bytes) {
      return fail(ErrorCode::kResultTooLarge, "The result has more than " + std::to_string(options.max_result_bytes) +
                                                  " bytes (limits.max_result_bytes); add a LIMIT or a filter");
    }
    return {};
  }

  Result<> write_part(std::string part) {
    return exchange_->write(std::move(part), [this] { return services_.workers.is_saturated(); });
  }

  Result<> send_part() {
    std::string part = writer_.take_part();
    sent_bytes_ += part.size();
    if (streaming_) return write_part(std::move(part));
    streaming_ = true;
    net::HttpResponse response;
    response.body = std::move(part);
    response.headers.push_back({"X-Request-ID", call_.request_id});
    exchange_->begin(std::move(response));
    return {};
  }

  const Services& services_;
  const ExchangePtr exchange_;
  const int64_t started_us_;
  bool admin_ = false;
  query::SqlCall call_;
  protocol::SqlResponseWriter writer_;
  bool on_worker_ = false;  // where sending a part may block
  bool streaming_ = false;
  uint64_t sent_bytes_ = 0;
};

}  // namespace

void handle_sql(const Services& services, ExchangePtr exchange) {
  std::make_shared<SqlExchange>(services, std::move(exchange))->start();
}

}  // namespace kalamdb::api
