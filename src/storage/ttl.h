// When a STREAM row is past its time to live: from that millisecond on nobody sees it, whenever it is removed.
#pragma once

#include <cstdint>

#include "model/table.h"

namespace kalamdb::storage {

// The greatest `_seq` that is expired at `now_us`; 0 for tables whose rows live on.
inline Seq expired_up_to(const model::TableDefinition& table, int64_t now_us) {
  if (table.type != model::TableType::kStream || table.options.ttl_seconds == 0) return 0;
  const int64_t expired_ms = now_us / 1000 - static_cast<int64_t>(table.options.ttl_seconds) * 1000 - kSeqEpochMs;
  return expired_ms < 0 ? 0 : ((expired_ms + 1) << 22) - 1;
}

inline bool is_expired(const model::TableDefinition& table, Seq seq, int64_t now_us) {
  return seq <= expired_up_to(table, now_us);
}

}  // namespace kalamdb::storage
