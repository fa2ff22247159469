#include "storage/merge_cursor.h"

#include <algorithm>
#include <functional>
#include <utility>

namespace kalamdb::storage {

Result<std::unique_ptr<MergeCursor>> MergeCursor::open(duck::Engine& engine, const model::TablePtr& table,
                                                       const std::vector<duck::Segment>& segments,
                                                       std::vector<CompactedSegment>& compacted) {
  std::unique_ptr<MergeCursor> cursor(new MergeCursor);
  cursor->table_ = table;
  cursor->sources_.resize(segments.size());
  for (size_t i = 0; i < segments.size(); ++i) {
    KALAM_TRY(cursor->sources_[i].rows, engine.read_segment(table, segments[i]));
    cursor->sources_[i].segment = &compacted[i];
    KALAM_CHECK(cursor->advance(i));
  }
  return cursor;
}

void MergeCursor::begin_segment(uint64_t rows) {
  notes_ = {};
  left_ = rows;
}

Result<> MergeCursor::advance(size_t index) {
  Source& source = sources_[index];
  KALAM_TRY(source.row, source.rows->next());
  if (source.row == nullptr) return {};
  source.key = segment_key(*table_, source.row->user, source.row->key);
  heap_.push_back(index);
  std::ranges::push_heap(heap_, std::greater<>(), [this](size_t i) { return key_of(i); });
  return {};
}

size_t MergeCursor::take_least() {
  std::ranges::pop_heap(heap_, std::greater<>(), [this](size_t i) { return key_of(i); });
  const size_t least = heap_.back();
  heap_.pop_back();
  return least;
}

Result<std::optional<model::RowRecord>> MergeCursor::next() {
  if (left_ == 0) return std::nullopt;
  if (in_hand_) KALAM_CHECK(advance(*std::exchange(in_hand_, std::nullopt)));
  if (heap_.empty()) return std::nullopt;
  in_hand_ = take_least();
  const Source& source = sources_[*in_hand_];
  const duck::SegmentRow& row = *source.row;
  std::vector<uint32_t>& places = source.segment->places;
  if ((written_ > 0 && source.key <= last_key_) || row.position >= places.size()) {
    return fail(ErrorCode::kCorruption, "Segment " + cold::segment_file_name(row.segment_id) +
                                            " is out of order, or has a row that another segment has too");
  }
  last_key_ = source.key;
  places[row.position] = written_++;
  --left_;
  notes_.keys.push_back(source.key);
  notes_.users.add_row(row.user);
  notes_.min_seq = std::min(notes_.min_seq, row.seq);
  notes_.max_seq = std::max(notes_.max_seq, row.seq);
  return model::RowRecord{.seq = row.seq, .key = row.key, .row = row.row, .user = &row.user};
}

}  // namespace kalamdb::storage
