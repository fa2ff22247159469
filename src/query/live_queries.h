// Live queries as SQL sees them, in system.live and KILL LIVE QUERY; the layers above have them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"

namespace kalamdb::query {

struct LiveQuery {
  std::string id;  // "{user}-{connection}-{subscription}"
  std::string connection_id;
  std::string subscription_id;
  std::string namespace_id;
  std::string table;
  UserId user;
  std::string sql;
  std::string options;  // JSON; empty: none
  int64_t created_at_us = 0;
  int64_t last_update_us = 0;   // of the last change that was sent, or created_at_us
  uint64_t changes = 0;         // sent
  int64_t last_message_us = 0;  // from the client, over the query's socket
};

// Thread-safe.
class LiveQueries {
 public:
  virtual ~LiveQueries() = default;
  // By id.
  virtual std::vector<LiveQuery> list() = 0;
  // Ends it; its client is told with the code KILLED. Errors: kNotFound.
  virtual Result<> kill(const std::string& id) = 0;
};

}  // namespace kalamdb::query
