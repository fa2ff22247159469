// For tests: a duck::Engine that can only write and search segments, in files of a simple format of its own, so that
// storage is tested without a SQL engine.
#pragma once

#include <algorithm>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "duck/engine.h"

namespace kalamdb::storage {

struct TestSegmentRow {
  Seq seq = 0;
  UserId user;  // where users share segments
  std::string key;
  std::string row;
};

inline Result<std::vector<TestSegmentRow>> read_test_segment(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return fail(ErrorCode::kIo, "no segment " + path);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  std::vector<TestSegmentRow> rows;
  for (size_t at = 0; at < bytes.size();) {
    TestSegmentRow row;
    row.seq = read_little_endian<Seq>(bytes.data() + at);
    const auto key_bytes = read_little_endian<uint32_t>(bytes.data() + at + 8);
    const auto row_bytes = read_little_endian<uint32_t>(bytes.data() + at + 12);
    const auto user_bytes = read_little_endian<uint32_t>(bytes.data() + at + 16);
    at += 20;
    row.key = bytes.substr(at, key_bytes);
    row.row = bytes.substr(at + key_bytes, row_bytes);
    row.user = UserId(bytes.substr(at + key_bytes + row_bytes, user_bytes));
    at += key_bytes + row_bytes + user_bytes;
    rows.push_back(std::move(row));
  }
  return rows;
}

class TestSegmentRows final : public duck::SegmentRows {
 public:
  TestSegmentRows(const duck::Segment& segment, std::vector<TestSegmentRow> rows)
      : segment_(segment), rows_(std::move(rows)) {}

  Result<const duck::SegmentRow*> next() override {
    while (next_ < rows_.size() && segment_.deleted && segment_.deleted->contains(next_)) ++next_;
    if (next_ >= rows_.size()) return nullptr;
    TestSegmentRow& row = rows_[next_];
    current_ = {segment_.id, next_, row.seq, row.user, std::move(row.key), std::move(row.row)};
    ++next_;
    return &current_;
  }

 private:
  duck::Segment segment_;
  std::vector<TestSegmentRow> rows_;
  uint32_t next_ = 0;
  duck::SegmentRow current_;
};

class TestEngine final : public duck::Engine {
 public:
  // Called once a segment's rows are written, before the caller goes on.
  std::function<Result<>()> after_write = [] { return Result<>(); };

  void set_remote_files(duck::RemoteFiles*) override {}

  Result<duck::WrittenSegment> write_segment(const std::string& path, const model::TablePtr& table,
                                             model::RowCursor& rows,
                                             const std::vector<std::pair<std::string, std::string>>&) override {
    duck::WrittenSegment written;
    std::string bytes;
    while (true) {
      KALAM_TRY(const auto record, rows.next());
      if (!record) break;
      append_little_endian<Seq>(bytes, record->seq);
      append_little_endian<uint32_t>(bytes, static_cast<uint32_t>(record->key.size()));
      append_little_endian<uint32_t>(bytes, static_cast<uint32_t>(record->row.size()));
      const std::string user = table->options.shares_segments ? record->user->value : "";
      append_little_endian<uint32_t>(bytes, static_cast<uint32_t>(user.size()));
      bytes.append(record->key).append(record->row).append(user);
      ++written.row_count;
    }
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    if (!file.write(bytes.data(), static_cast<std::streamsize>(bytes.size())).flush()) {
      return fail(ErrorCode::kIo, "cannot write " + path);
    }
    written.size_bytes = bytes.size();
    KALAM_CHECK(after_write());
    return written;
  }

  Result<std::vector<duck::SegmentRow>> find_in_segments(const model::TablePtr&,
                                                         std::span<const duck::Segment> segments,
                                                         std::span<const std::string> keys) override {
    std::vector<duck::SegmentRow> found;
    for (const duck::Segment& segment : segments) {
      KALAM_TRY(const auto rows, read_test_segment(segment.path));
      for (uint32_t position = 0; position < rows.size(); ++position) {
        const TestSegmentRow& row = rows[position];
        if (position < segment.visible.begin || position >= segment.visible.end) continue;
        if (segment.deleted && segment.deleted->contains(position)) continue;
        if (std::ranges::find(keys, row.key) == keys.end()) continue;
        found.push_back({segment.id, position, row.seq, {}, row.key, row.row});
      }
    }
    return found;
  }

  Result<std::unique_ptr<duck::SegmentRows>> read_segment(const model::TablePtr&,
                                                          const duck::Segment& segment) override {
    KALAM_TRY(auto rows, read_test_segment(segment.path));
    return std::make_unique<TestSegmentRows>(segment, std::move(rows));
  }

  Result<std::vector<duck::ResultColumn>> parquet_columns(std::span<const std::string>,
                                                          std::function<bool()>) override {
    return no_sql();
  }
  Result<std::unique_ptr<duck::QueryResult>> read_parquet(std::span<const std::string>, std::span<const std::string>,
                                                          size_t, std::function<bool()>) override {
    return no_sql();
  }
  Result<std::unique_ptr<duck::QueryResult>> query(const duck::Statement&, duck::SourceResolver&,
                                                   const duck::QueryContext&) override {
    return no_sql();
  }
  Result<std::vector<duck::ResultColumn>> describe(const duck::Statement&, duck::SourceResolver&,
                                                   const duck::QueryContext&) override {
    return no_sql();
  }
  Result<std::unique_ptr<duck::QueryResult>> insert_rows(const duck::Statement&, const std::vector<std::string>&,
                                                         duck::SourceResolver&, const duck::QueryContext&) override {
    return no_sql();
  }
  Result<duck::TouchedRows> changes(const duck::Statement&, duck::SourceResolver&, const duck::QueryContext&) override {
    return no_sql();
  }
  Result<duck::EvaluatedRows> returning(const duck::Statement&, const model::TablePtr&, std::vector<model::Row>,
                                        duck::SourceResolver&, const duck::QueryContext&) override {
    return no_sql();
  }
  Result<duck::EvaluatedRows> conflict_updates(const duck::Statement&, const model::TablePtr&,
                                               std::vector<duck::ConflictRow>, duck::SourceResolver&,
                                               const duck::QueryContext&) override {
    return no_sql();
  }
  Result<std::unique_ptr<duck::QueryResult>> live_rows(const duck::Statement&, duck::SourceResolver&,
                                                       const duck::QueryContext&, Seq, uint64_t) override {
    return no_sql();
  }
  Result<std::unique_ptr<duck::QueryResult>> other_rows(const duck::Statement&, duck::SourceResolver&,
                                                        const duck::QueryContext&, Seq) override {
    return no_sql();
  }
  Result<std::unique_ptr<duck::Predicate>> bind_predicate(const duck::Statement&, const model::TablePtr&,
                                                          const duck::QueryContext&) override {
    return no_sql();
  }
  Result<std::unique_ptr<duck::RowExpressions>> bind_result(const duck::Statement&, const model::TablePtr&,
                                                            const duck::QueryContext&) override {
    return no_sql();
  }
  Result<std::unique_ptr<duck::QueryResult>> result_rows(const duck::Statement&, duck::SourceResolver&,
                                                         const duck::QueryContext&, uint64_t) override {
    return no_sql();
  }

 private:
  static std::unexpected<Error> no_sql() { return fail(ErrorCode::kInternal, "not a SQL engine"); }
};

}  // namespace kalamdb::storage
