// `_seq` as a time, and when a STREAM row is past its time to live: from that millisecond on nobody sees it, whenever
// it is removed.
#pragma once

#include <cstdint>

#include "model/table.h"

namespace kalamdb::storage {

// The greatest `_seq` that is given at `time_ms` or before.
inline Seq last_seq_at(int64_t time_ms) { return time_ms < kSeqEpochMs ? 0 : ((time_ms - kSeqEpochMs + 1) << 22) - 1; }

// The greatest `_seq` that is expired at `now_us`; 0 for tables whose rows live on.
inline Seq expired_up_to(const model::TableDefinition& table, int64_t now_us) {
  if (table.type != model::TableType::kStream || table.options.ttl_seconds == 0) return 0;
  return last_seq_at(now_us / 1000 - static_cast<int64_t>(table.options.ttl_seconds) * 1000);
}

inline bool is_expired(const model::TableDefinition& table, Seq seq, int64_t now_us) {
  return seq <= expired_up_to(table, now_us);
}

}  // namespace kalamdb::storage
