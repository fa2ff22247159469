// Rows of several segments in key order, handed out in portions of one new segment each.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "duck/engine.h"
#include "model/row_codec.h"
#include "storage/compact_change.h"

namespace kalamdb::storage {

class MergeCursor final : public model::RowCursor {
 public:
  // What is noted of the rows of one portion.
  struct Notes {
    std::vector<std::string> keys;  // of segment_key(), ascending: the index is the position in the new segment
    cold::SegmentUsers users;
    Seq min_seq = INT64_MAX;
    Seq max_seq = INT64_MIN;
  };

  // Opens the live rows of `segments`, each of which is in the order of segment_key(). Where each row goes is noted in
  // the places of `compacted`, of which there is one for each segment and which must outlive it.
  static Result<std::unique_ptr<MergeCursor>> open(duck::Engine& engine, const model::TablePtr& table,
                                                   const std::vector<duck::Segment>& segments,
                                                   std::vector<CompactedSegment>& compacted);

  // Begins the next portion, of up to `rows` rows.
  void begin_segment(uint64_t rows);
  // Errors: kCorruption if a segment is out of order or two hold one key.
  Result<std::optional<model::RowRecord>> next() override;
  Notes take_notes() { return std::move(notes_); }

 private:
  struct Source {
    std::unique_ptr<duck::SegmentRows> rows;
    const duck::SegmentRow* row = nullptr;
    std::string key;  // of `row`, its segment_key()
    CompactedSegment* segment = nullptr;
  };

  MergeCursor() = default;
  const std::string& key_of(size_t source) const { return sources_[source].key; }
  Result<> advance(size_t index);
  size_t take_least();

  model::TablePtr table_;
  std::vector<Source> sources_;
  std::vector<size_t> heap_;       // of sources that have a row, the one with the least key in front
  std::optional<size_t> in_hand_;  // whose row was handed out last, and stays until the next is asked for
  std::string last_key_;
  uint32_t written_ = 0;
  uint64_t left_ = 0;  // of the portion
  Notes notes_;
};

}  // namespace kalamdb::storage
