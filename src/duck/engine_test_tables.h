// Tables in memory and segments in a temporary folder, for the tests of the engine.
#pragma once

#include <unistd.h>

#include <filesystem>
#include <functional>
#include <map>
#include <set>
#include <thread>

#include "duck/engine.h"
#include "model/key_codec.h"

namespace kalamdb::duck {

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "kalamdb_engine_XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

struct TestColumn {
  std::string name;
  std::string type;
  uint32_t key_position = 0;
};

class TestTable : public TableScan {
 public:
  struct StoredRow {
    Seq seq = 0;
    bool deleted = false;
    std::string bytes;
  };

  TestTable(std::string schema, std::string name, const std::vector<TestColumn>& columns) {
    auto definition = std::make_shared<model::TableDefinition>();
    definition->namespace_id = std::move(schema);
    definition->name = std::move(name);
    uint32_t ordinal = 0;
    const auto add = [&](const TestColumn& column) {
      definition->columns.push_back({.name = column.name,
                                     .ordinal = ++ordinal,
                                     .type = parse(column.type),
                                     .primary_key_position = column.key_position});
    };
    for (const auto& column : columns) add(column);
    add({"_seq", "BIGINT"});
    add({"_deleted", "BOOLEAN"});
    definition_ = std::move(definition);
  }

  const model::TablePtr& table() const override { return definition_; }
  const model::TablePtr& definition() const { return definition_; }
  std::optional<uint64_t> known_hot_rows() const override { return known_hot_rows_; }
  void learn_hot_rows(uint64_t rows) const override { known_hot_rows_ = rows; }
  uint64_t hot_row_estimate() const override { return rows_.size(); }
  const std::vector<Segment>& segments() const override { return segments_; }

  std::unique_ptr<model::RowCursor> hot(const KeyRange& range, bool with_tombstones) const override {
    rows_read_ = 0;
    return std::make_unique<Cursor>(*this, range, with_tombstones);
  }

  void put(const model::Row& row) {
    rows_[model::encode_key(*definition_, row)] = stored(row);
    known_hot_rows_.reset();
  }
  void fail_reads(Error error) { error_ = std::move(error); }
  uint64_t rows_read() const { return rows_read_; }
  void alter(const std::function<void(model::TableDefinition&)>& change) {
    auto next = std::make_shared<model::TableDefinition>(*definition_);
    change(*next);
    definition_ = std::move(next);
  }
  void delete_positions(size_t segment, const std::vector<uint32_t>& positions) {
    auto deleted = std::make_shared<PositionSet>();
    for (const auto position : positions) deleted->add(position);
    segments_[segment].deleted = std::move(deleted);
  }
  void show_only(size_t segment, PositionRange visible) { segments_[segment].visible = visible; }
  void forget_stats() {
    for (Segment& segment : segments_) segment.columns = nullptr;
  }
  void break_segment(size_t segment) { std::filesystem::remove(segments_[segment].path); }

  // Writes `rows`, which are in key order, as a segment. Returns what failed.
  std::string flush(Engine& engine, const std::string& folder, const std::vector<model::Row>& rows) {
    VectorCursor cursor(*this, rows);
    Segment segment{.id = 100 + segments_.size(),
                    .path = folder + "/it's " + definition_->name + std::to_string(segments_.size()) + ".parquet",
                    .row_count = rows.size(),
                    .visible = {0, static_cast<uint32_t>(rows.size())}};
    segment.min_key = model::encode_key(*definition_, rows.front());
    segment.max_key = model::encode_key(*definition_, rows.back());
    segment.min_seq = INT64_MAX;
    for (const auto& row : rows) {
      segment.min_seq = std::min(segment.min_seq, stored(row).seq);
      segment.max_seq = std::max(segment.max_seq, stored(row).seq);
    }
    auto written = engine.write_segment(segment.path, definition_, cursor, {{"kalamdb", "a 'quoted' value"}});
    if (!written) return written.error().message;
    if (written->row_count != rows.size()) return "wrote " + std::to_string(written->row_count) + " rows";
    segment.size_bytes = written->size_bytes;
    segment.columns = std::make_shared<const std::vector<model::ColumnStats>>(std::move(written->columns));
    segments_.push_back(std::move(segment));
    return "";
  }

 private:
  class Cursor : public model::RowCursor {
   public:
    Cursor(const TestTable& table, const KeyRange& range, bool with_tombstones)
        : table_(table),
          next_(table.rows_.lower_bound(range.begin)),
          end_(range.end.empty() ? table.rows_.end() : table.rows_.lower_bound(range.end)),
          with_tombstones_(with_tombstones) {}
    Result<std::optional<model::RowRecord>> next() override {
      if (table_.error_) return fail(*table_.error_);
      while (next_ != end_) {
        const auto& [key, row] = *next_++;
        if (row.deleted && !with_tombstones_) continue;
        ++table_.rows_read_;
        return model::RowRecord{row.seq, row.deleted, key, row.bytes};
      }
      return std::nullopt;
    }

   private:
    using Iterator = std::map<std::string, StoredRow>::const_iterator;
    const TestTable& table_;
    Iterator next_, end_;
    bool with_tombstones_;
  };

  class VectorCursor : public model::RowCursor {
   public:
    VectorCursor(const TestTable& table, const std::vector<model::Row>& rows) : table_(table), rows_(rows) {}
    Result<std::optional<model::RowRecord>> next() override {
      // Background work keeps to the thread that asks for it, whose priority is low.
      if (std::this_thread::get_id() != thread_) return fail(ErrorCode::kInternal, "read on another thread");
      if (next_ == rows_.size()) return std::nullopt;
      row_ = table_.stored(rows_[next_++]);
      return model::RowRecord{row_.seq, row_.deleted, {}, row_.bytes};
    }

   private:
    const TestTable& table_;
    const std::vector<model::Row>& rows_;
    const std::thread::id thread_ = std::this_thread::get_id();
    size_t next_ = 0;
    StoredRow row_;
  };

  static model::DataType parse(const std::string& type) {
    const auto open = type.find('(');
    if (open == std::string::npos) return *model::parse_type(type);
    const auto comma = type.find(',');
    std::optional<int64_t> second;
    if (comma != std::string::npos) second = std::stoll(type.substr(comma + 1));
    return *model::parse_type(type.substr(0, open), std::stoll(type.substr(open + 1)), second);
  }

  StoredRow stored(const model::Row& row) const {
    StoredRow stored{.bytes = model::encode_row(*definition_, row)};
    for (size_t i = 0; i < row.size(); ++i) {
      if (definition_->columns[i].name == "_seq") stored.seq = std::get<int64_t>(row[i]);
      if (definition_->columns[i].name == "_deleted") stored.deleted = std::get<bool>(row[i]);
    }
    return stored;
  }

  model::TablePtr definition_;
  std::map<std::string, StoredRow> rows_;
  std::vector<Segment> segments_;
  std::optional<Error> error_;
  mutable uint64_t rows_read_ = 0;
  mutable std::optional<uint64_t> known_hot_rows_;
};

// Resolves unqualified names in the namespace `app`.
class TestTables : public SourceResolver {
 public:
  TestTable& add(const std::string& schema, const std::string& name, const std::vector<TestColumn>& columns) {
    auto table = std::make_shared<TestTable>(schema, name, columns);
    sources_[{schema, name}] = {.scan = table};
    return *table;
  }
  void add_computed(const std::string& schema, const std::string& name, const std::vector<TestColumn>& columns,
                    std::vector<model::Row> rows) {
    auto definition = *TestTable(schema, name, columns).definition();
    definition.columns.resize(columns.size());
    definition.type = model::TableType::kSystem;
    sources_[{schema, name}] = {.computed =
                                    ComputedRows{std::make_shared<const model::TableDefinition>(std::move(definition)),
                                                 std::make_shared<const std::vector<model::Row>>(std::move(rows))}};
  }
  // `columns` are the view's names for those of `output`, which the SELECT gives.
  void add_view(const std::string& schema, const std::string& name, const char* sql, std::vector<std::string> output,
                const std::vector<std::string>& columns) {
    auto definition = std::make_shared<model::TableDefinition>();
    definition->namespace_id = schema;
    definition->name = name;
    definition->type = model::TableType::kView;
    definition->view = model::ViewDefinition{.output = std::move(output)};
    for (const auto& column : columns) definition->columns.push_back({.name = column});
    auto self = std::shared_ptr<SourceResolver>(this, [](SourceResolver*) {});
    sources_[{schema, name}] = {.view = ViewSource{std::move(definition), *Statement::parse(sql), self}};
  }
  Result<TableSource> open(const TableName& name) override {
    const auto found = sources_.find({name.schema.empty() ? "app" : name.schema, name.name});
    if (found == sources_.end()) return fail(ErrorCode::kTableNotFound, "Table '" + name.name + "' does not exist");
    return found->second;
  }

 private:
  std::map<std::pair<std::string, std::string>, TableSource> sources_;
};

}  // namespace kalamdb::duck
