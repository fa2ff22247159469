#include "duck/segment_io.h"

#include <algorithm>
#include <filesystem>
#include <unordered_set>

#include "duck/duck_error.h"
#include "duck/rewrite.h"
#include "duck/segment_file_system.h"
#include "duck/table_scan.h"
#include "duck/types.h"
#include "duckdb/parser/expression/list.hpp"
#include "duckdb/parser/parsed_data/copy_info.hpp"
#include "duckdb/parser/query_node/select_node.hpp"
#include "duckdb/parser/statement/copy_statement.hpp"
#include "model/key_codec.h"

namespace kalamdb::duck {

using duckdb::make_uniq;
using Expression = duckdb::unique_ptr<duckdb::ParsedExpression>;

namespace {

constexpr int64_t kRowGroupRows = 122'880;
// Of segments that users share: who reads one user's rows reads one or two row groups.
constexpr int64_t kSharedRowGroupRows = 8'192;

duckdb::unique_ptr<duckdb::SelectNode> select_columns(const model::TableDefinition& table, size_t slot) {
  auto node = make_uniq<duckdb::SelectNode>();
  for (const auto& column : table.columns)
    node->select_list.push_back(make_uniq<duckdb::ColumnRefExpression>(column.name));
  node->from_table = scan_ref(slot);
  return node;
}

// FIELD_IDS and KV_METADATA are given as structs.
duckdb::Value field_ids(const model::TableDefinition& table) {
  duckdb::child_list_t<duckdb::Value> ids;
  for (const auto& column : table.columns)
    ids.emplace_back(column.name, duckdb::Value::INTEGER(static_cast<int32_t>(column.slot())));
  return duckdb::Value::STRUCT(std::move(ids));
}

duckdb::Value key_values(const std::vector<std::pair<std::string, std::string>>& metadata) {
  duckdb::child_list_t<duckdb::Value> values;
  for (const auto& [key, value] : metadata) values.emplace_back(key, duckdb::Value(value));
  return duckdb::Value::STRUCT(std::move(values));
}

// WHERE c1 IN (…) for the first key column, or c1 = v1 AND c2 = v2 … for a single key.
Result<Expression> key_condition(const model::TableDefinition& table, std::span<const std::string> keys) {
  const auto key_columns = table.primary_key();
  const auto constant = [](const model::Value& value, const model::DataType& type) -> Expression {
    return make_uniq<duckdb::ConstantExpression>(to_duck_value(model::view(value), type));
  };
  if (keys.size() == 1) {
    std::string_view rest = keys[0];
    duckdb::vector<Expression> equalities;
    for (const auto* column : key_columns) {
      KALAM_TRY(const auto value, model::read_key(rest, column->type));
      equalities.push_back(make_uniq<duckdb::ComparisonExpression>(duckdb::ExpressionType::COMPARE_EQUAL,
                                                                   make_uniq<duckdb::ColumnRefExpression>(column->name),
                                                                   constant(value, column->type)));
    }
    if (equalities.size() == 1) return std::move(equalities[0]);
    return make_uniq<duckdb::ConjunctionExpression>(duckdb::ExpressionType::CONJUNCTION_AND, std::move(equalities));
  }
  auto in = make_uniq<duckdb::OperatorExpression>(duckdb::ExpressionType::COMPARE_IN,
                                                  make_uniq<duckdb::ColumnRefExpression>(key_columns[0]->name));
  for (const std::string& key : keys) {
    std::string_view rest = key;
    KALAM_TRY(const auto value, model::read_key(rest, key_columns[0]->type));
    in->children.push_back(constant(value, key_columns[0]->type));
  }
  return in;
}

// A query for all columns of `segments` and where each row lies, into `session`.
duckdb::unique_ptr<duckdb::SelectNode> select_with_position(Session& session, const model::TablePtr& table,
                                                            std::span<const Segment> segments) {
  const size_t slot =
      session.state().add({.table = table, .segments = {segments.begin(), segments.end()}, .with_position = true});
  session.state().plain = true;
  auto node = select_columns(*table, slot);
  node->select_list.push_back(make_uniq<duckdb::ColumnRefExpression>(kSegmentIdColumn));
  node->select_list.push_back(make_uniq<duckdb::ColumnRefExpression>(kPositionColumn));
  return node;
}

// Reads the rows of the chunks that such a query gives.
class SegmentChunk {
 public:
  explicit SegmentChunk(model::TablePtr table) : table_(std::move(table)), row_(table_->columns.size()) {}

  // False at the end of the result.
  Result<bool> fetch(Session& session, duckdb::QueryResult& result) {
    KALAM_TRY(chunk_, session.fetch(result));
    views_.clear();
    if (!chunk_) return false;
    for (size_t i = 0; i < row_.size(); ++i)
      views_.emplace_back(chunk_->data[i], chunk_->size(), table_->columns[i].type);
    return true;
  }

  size_t size() const { return chunk_ ? chunk_->size() : 0; }
  // All of the row but its bytes, which encoded_row() then gives.
  void read(size_t r, SegmentRow& out) {
    for (size_t i = 0; i < row_.size(); ++i) {
      row_[i] = model::to_value(views_[i].cell(r));
      if (table_->columns[i].name == model::kSeqColumn) out.seq = std::get<int64_t>(row_[i]);
      if (table_->columns[i].name == model::kUserColumn) out.user = UserId(std::get<std::string>(row_[i]));
    }
    out.key = model::encode_key(*table_, row_);
    out.segment_id = chunk_->GetValue(row_.size(), r).GetValue<uint64_t>();
    out.position = chunk_->GetValue(row_.size() + 1, r).GetValue<uint32_t>();
  }
  std::string encoded_row() const { return model::encode_row(*table_, row_); }

 private:
  model::TablePtr table_;
  model::Row row_;
  duckdb::unique_ptr<duckdb::DataChunk> chunk_;
  std::vector<ColumnView> views_;
};

class StreamedSegmentRows final : public SegmentRows {
 public:
  StreamedSegmentRows(std::unique_ptr<Session> session, duckdb::unique_ptr<duckdb::QueryResult> result,
                      const model::TablePtr& table)
      : session_(std::move(session)), result_(std::move(result)), chunk_(table) {}
  ~StreamedSegmentRows() override { result_.reset(); }

  Result<const SegmentRow*> next() override {
    while (next_ == chunk_.size()) {
      next_ = 0;
      KALAM_TRY(const bool more, chunk_.fetch(*session_, *result_));
      if (!more) return nullptr;
    }
    return guarded([&]() -> Result<const SegmentRow*> {
      chunk_.read(next_++, row_);
      row_.row = chunk_.encoded_row();
      return &row_;
    });
  }

 private:
  std::unique_ptr<Session> session_;
  duckdb::unique_ptr<duckdb::QueryResult> result_;
  SegmentChunk chunk_;
  size_t next_ = 0;
  SegmentRow row_;
};

}  // namespace

Result<WrittenSegment> write_segment_file(Session& session, const std::string& path, const model::TablePtr& definition,
                                          model::RowCursor& rows,
                                          const std::vector<std::pair<std::string, std::string>>& metadata) {
  const bool is_shared = definition->options.shares_segments;
  const model::TablePtr table = is_shared ? model::with_user_column(*definition) : definition;
  session.state().plain = true;
  std::vector<model::ColumnStatsBuilder> stats(table->columns.begin(), table->columns.end());
  const size_t slot = session.state().add({.table = table, .cursor = &rows, .stats = &stats});
  auto copy = make_uniq<duckdb::CopyStatement>();
  auto& info = *copy->info;
  info.is_from = false;
  info.format = "parquet";
  info.is_format_auto_detected = false;
  info.file_path = segment_file_name(table->id, path);
  const std::string& codec = table->options.compression;
  info.options["compression"] = {duckdb::Value(codec == "none" ? "uncompressed" : codec)};
  info.options["row_group_size"] = {duckdb::Value::BIGINT(is_shared ? kSharedRowGroupRows : kRowGroupRows)};
  info.options["field_ids"] = {field_ids(*table)};
  if (!metadata.empty()) info.options["kv_metadata"] = {key_values(metadata)};
  info.select_statement = select_columns(*table, slot);
  KALAM_TRY(auto result, session.start(std::move(copy)));
  KALAM_TRY(auto chunk, session.fetch(*result));
  WrittenSegment written;
  if (chunk) written.row_count = chunk->GetValue(0, 0).GetValue<uint64_t>();
  std::error_code error;
  written.size_bytes = std::filesystem::file_size(path, error);
  if (error) return fail(ErrorCode::kIo, "The segment " + path + " was not written: " + error.message());
  KALAM_TRY(
      written.checksum, guarded([&]() -> Result<uint64_t> {
        return checksum_of(*duckdb::FileSystem::CreateLocal()->OpenFile(path, duckdb::FileFlags::FILE_FLAGS_READ));
      }));
  for (size_t i = 0; i < stats.size(); ++i) {
    const auto& column = table->columns[i];
    if (!column.is_system() || column.name == model::kHiddenKeyColumn) written.columns.push_back(stats[i].finish());
  }
  std::ranges::sort(written.columns, {}, &model::ColumnStats::slot);
  return written;
}

Result<std::vector<SegmentRow>> find_segment_rows(Session& session, const model::TablePtr& table,
                                                  std::span<const Segment> segments,
                                                  std::span<const std::string> keys) {
  std::vector<SegmentRow> found;
  if (segments.empty() || keys.empty()) return found;
  auto node = select_with_position(session, table, segments);
  KALAM_TRY(node->where_clause, key_condition(*table, keys));
  KALAM_TRY(auto result, session.start(duckdb::unique_ptr<duckdb::QueryNode>(std::move(node))));

  const std::unordered_set<std::string_view> wanted(keys.begin(), keys.end());
  SegmentChunk chunk(table);
  for (;;) {
    KALAM_TRY(const bool more, chunk.fetch(session, *result));
    if (!more) return found;
    for (size_t r = 0; r < chunk.size(); ++r) {
      SegmentRow hit;
      chunk.read(r, hit);
      // The condition looks at the first key column only when there are several keys.
      if (!wanted.contains(hit.key)) continue;
      hit.row = chunk.encoded_row();
      found.push_back(std::move(hit));
    }
  }
}

Result<std::unique_ptr<SegmentRows>> read_segment_rows(std::unique_ptr<Session> session,
                                                       const model::TablePtr& definition, const Segment& segment) {
  const model::TablePtr table = definition->options.shares_segments ? model::with_user_column(*definition) : definition;
  auto node = select_with_position(*session, table, std::span(&segment, 1));
  KALAM_TRY(auto result, session->start(duckdb::unique_ptr<duckdb::QueryNode>(std::move(node))));
  return std::make_unique<StreamedSegmentRows>(std::move(session), std::move(result), table);
}

}  // namespace kalamdb::duck
