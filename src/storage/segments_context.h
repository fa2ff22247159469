// What whatever writes segments works with.
#pragma once

#include <mutex>
#include <stop_token>

#include "duck/engine.h"
#include "hot/store.h"
#include "platform/clock.h"
#include "platform/file_system.h"
#include "storage/committer.h"
#include "storage/file_collector.h"
#include "storage/segment_cache.h"
#include "storage/segment_files.h"
#include "storage/write_watches.h"

namespace kalamdb::storage {

// All of it outlives the work.
struct SegmentsContext {
  hot::Store& store;
  Committer& committer;
  SegmentCache& segments;
  SegmentFiles& files;
  FileCollector& collector;
  WriteWatches& watches;
  duck::Engine& engine;
  const platform::Clock& clock;
  platform::FileSystem& disk;
  uint64_t max_segment_rows = 0;
  uint64_t max_small_segments = 0;
  // Once it is requested, work ends after its next commit: with what check_stop() gives, everything consistent.
  std::stop_token stop = {};
};

// Of one table. Who needs both takes `maintenance` first.
struct TableMutexes {
  // Held by a flush, and by others while they choose numbers for segments and while they commit.
  std::mutex segments;
  // Held as long as a compaction and the like run: one at a time.
  std::mutex maintenance;
};

}  // namespace kalamdb::storage
