#include <rocksdb/cache.h>
#include <rocksdb/convenience.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/slice_transform.h>
#include <rocksdb/table.h>
#include <rocksdb/utilities/table_properties_collectors.h>

#include <algorithm>
#include <array>
#include <cstdio>

#include "base/log.h"
#include "hot/keys.h"
#include "hot/rocks.h"

namespace kalamdb::hot {
namespace {

// Lets a scan of one user skip files and memtables that hold nothing of that user.
class ScopeTransform final : public rocksdb::SliceTransform {
 public:
  const char* Name() const override { return "kalamdb.scope"; }
  rocksdb::Slice Transform(const rocksdb::Slice& key) const override {
    return {key.data(), scope_prefix_length(bytes(key))};
  }
  bool InDomain(const rocksdb::Slice& key) const override { return scope_prefix_length(bytes(key)) > 0; }
};

// RocksDB's warnings in our log. Its own log file is an append like any other: on a full disk, RocksDB as Debian builds
// it (assertions on) aborts at the append behind the one that failed.
class LogFacade final : public rocksdb::Logger {
 public:
  LogFacade() : rocksdb::Logger(rocksdb::WARN_LEVEL) {}
  using rocksdb::Logger::Logv;
  void Logv(const char* format, va_list arguments) override {
    std::array<char, 1024> line;
    std::vsnprintf(line.data(), line.size(), format, arguments);
    log::warn("rocksdb: {}", line.data());
  }
};

rocksdb::CompressionType compression() {
  const auto supported = rocksdb::GetSupportedCompressions();
  const bool lz4 = std::ranges::find(supported, rocksdb::kLZ4Compression) != supported.end();
  return lz4 ? rocksdb::kLZ4Compression : rocksdb::kNoCompression;
}

}  // namespace

rocksdb::Options database_options(const StoreOptions& options, rocksdb::Env* env) {
  rocksdb::Options out;
  out.env = env;
  out.create_if_missing = true;
  out.create_missing_column_families = true;
  // The log is never recycled and must be whole up to an unfinished record at its very end: whatever else is wrong with
  // it is reported rather than taken for the end, since acknowledged commits may come after it.
  out.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
  out.track_and_verify_wals_in_manifest = true;
  // Families that change little would otherwise keep old logs, and a restart would have to read them.
  out.max_total_wal_size = 2 * options.write_buffer_bytes;
  // One thread writes.
  out.allow_concurrent_memtable_write = false;
  out.enable_write_thread_adaptive_yield = false;
  out.max_background_jobs = 2;
  // Compaction gives way to whoever answers requests; a memtable that is full is written at once.
  if (const auto status = env->LowerThreadPoolCPUPriority(rocksdb::Env::LOW, rocksdb::CpuPriority::kLow);
      !status.ok()) {
    log::info("hot store: compaction runs at normal priority: {}", status.ToString());
  }
  out.bytes_per_sync = 1 << 20;
  out.max_open_files = 512;
  out.avoid_unnecessary_blocking_io = true;
  out.avoid_flush_during_recovery = true;
  out.info_log = std::make_shared<LogFacade>();
  out.max_bgerror_resume_count = 0;  // as little as of a full disk, see NoRecovery
  out.stats_dump_period_sec = 0;
  out.stats_persist_period_sec = 0;
  return out;
}

std::vector<rocksdb::ColumnFamilyDescriptor> column_families(const StoreOptions& options,
                                                             const rocksdb::Options& database) {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = rocksdb::NewLRUCache(options.block_cache_bytes);
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  table.format_version = 5;
  table.cache_index_and_filter_blocks = true;
  table.pin_l0_filter_and_index_blocks_in_cache = true;

  rocksdb::ColumnFamilyOptions records(database);
  records.write_buffer_size = options.write_buffer_bytes;
  records.compression = compression();
  records.level_compaction_dynamic_level_bytes = true;
  records.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  // Every INSERT asks for a key that is usually not there: a Bloom filter over the memtable answers most of them.
  records.memtable_whole_key_filtering = true;
  records.memtable_prefix_bloom_size_ratio = 0.02;
  // A flush leaves many deletions behind, which scans would have to step over until a compaction.
  records.table_properties_collector_factories = {rocksdb::NewCompactOnDeletionCollectorFactory(4096, 2048)};

  rocksdb::ColumnFamilyOptions rows = records;
  rows.max_write_buffer_number = 3;  // Store::note_erased() may begin to write one early
  rows.prefix_extractor = std::make_shared<ScopeTransform>();
  rocksdb::ColumnFamilyOptions changes = rows;
  changes.memtable_whole_key_filtering = false;
  return {{rocksdb::kDefaultColumnFamilyName, records}, {"rows", rows}, {"changes", changes}};
}

}  // namespace kalamdb::hot
