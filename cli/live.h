// A live view: one subscription over a WebSocket, printed change by change.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "cli/output.h"
#include "cli/session.h"

namespace kalamdb::cli {

// How a live view behaves and ends. Zero = no bound.
struct LiveOptions {
  Format format = Format::kTable;  // kJson prints each message of the server as one line
  int64_t max_changes = 0;         // end after so many changes; rows of the snapshot do not count
  int64_t duration_s = 0;          // end after so many seconds
  int64_t connect_timeout_s = 10;
  int64_t auth_timeout_s = 5;
  int64_t initial_data_timeout_s = 30;
  bool reconnect = true;
  int64_t reconnect_delay_ms = 100;
  int64_t max_reconnect_delay_ms = 30000;
  int64_t max_reconnect_attempts = 10;  // in a row
};

struct Subscription {
  std::string sql;
  std::string options = "{}";  // JSON object; "{}" = all rows first
};

// Splits "SELECT … OPTIONS (last_rows=N)" into the query and its options. kInvalidInput for options other than
// last_rows, batch_size and from with whole numbers.
Result<Subscription> parse_subscription(std::string_view sql);

// Shows the view until ctrl-c or a bound of `options` ends it, and gives true; false when the server refused or ended
// it, which has been printed. Lost connections are made again and go on after the last change seen. Error: the server
// cannot be reached.
Result<bool> run_live_view(Session& session, const Subscription& subscription, const LiveOptions& options);

}  // namespace kalamdb::cli
