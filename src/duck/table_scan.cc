#include "duck/table_scan.h"

#include <atomic>

#include "duck/memory_reader.h"
#include "duck/old_segment_reader.h"
#include "duck/pushed_filters.h"
#include "duck/row_counter.h"
#include "duck/row_range_reader.h"
#include "duck/segment_file_system.h"
#include "duck/types.h"
#include "duckdb/catalog/catalog_entry/table_function_catalog_entry.hpp"
#include "duckdb/common/multi_file/multi_file_reader.hpp"
#include "duckdb/common/multi_file/multi_file_states.hpp"
#include "duckdb/parser/parsed_data/create_table_function_info.hpp"
#include "duckdb/planner/expression/bound_constant_expression.hpp"
#include "duckdb/planner/expression/bound_reference_expression.hpp"
#include "duckdb/planner/operator/logical_get.hpp"

namespace kalamdb::duck {

using duckdb::column_t;
using duckdb::idx_t;
using duckdb::LogicalType;

namespace {

// Virtual column ids, beside DuckDB's own few at the start of their range.
constexpr column_t kSegmentIdColumnId = (column_t{1} << 63) + 500;
constexpr column_t kRowSourceColumnId = (column_t{1} << 63) + 501;  // the hot rows, or which segment
constexpr column_t kHiddenColumnBase = (column_t{1} << 63) + 1000;  // plus the ordinal
constexpr column_t kPositionColumnId = duckdb::MultiFileReader::COLUMN_IDENTIFIER_FILE_ROW_NUMBER;

// Index of the columns that `*` shows, by their column id.
std::vector<const model::ColumnDefinition*> visible_columns(const ScanTarget& target) {
  std::vector<const model::ColumnDefinition*> visible;
  for (const auto& column : target.table->columns)
    if (target.is_visible(column)) visible.push_back(&column);
  return visible;
}

// Lets through the rows of a segment that are there for the reader.
class LiveRows : public duckdb::DeleteFilter {
 public:
  explicit LiveRows(const Segment& segment) : visible_(segment.visible), deleted_(segment.deleted) {}

  idx_t Filter(duckdb::row_t start, idx_t count, duckdb::SelectionVector& result) override {
    const auto first = static_cast<uint32_t>(start);
    const uint32_t begin = std::max(first, visible_.begin);
    const uint32_t end = std::min(first + static_cast<uint32_t>(count), visible_.end);
    thread_local std::vector<uint32_t> positions;
    positions.clear();
    if (deleted_) deleted_->append_range(begin, end, positions);
    // No selection means all of them, which the reader is faster with.
    if (positions.empty() && begin == first && end == first + count) return count;
    result.Initialize(STANDARD_VECTOR_SIZE);
    idx_t kept = 0;
    uint32_t next = begin;
    positions.push_back(end);
    for (const uint32_t deleted : positions) {
      for (; next < deleted; ++next) result.set_index(kept++, next - first);
      ++next;
    }
    return kept;
  }

 private:
  const PositionRange visible_;
  std::shared_ptr<const PositionSet> deleted_;
};

// The hot rows and the segments of one table. A file's extended info names its segment by index.
class TableFileList : public duckdb::MultiFileList {
 public:
  TableFileList(std::shared_ptr<const ScanTarget> target, duckdb::vector<duckdb::OpenFileInfo> files)
      : MultiFileList(files, duckdb::FileGlobOptions::ALLOW_EMPTY), target_(std::move(target)), files_(files) {}

  static duckdb::unique_ptr<TableFileList> of(const std::shared_ptr<const ScanTarget>& target) {
    duckdb::vector<duckdb::OpenFileInfo> files;
    if (target->source.scan || target->source.computed || target->cursor) files.emplace_back("hot rows");
    const auto& segments = target->all_segments();
    for (size_t i = 0; i < segments.size(); ++i) files.push_back(file_of(*target, i));
    return duckdb::make_uniq<TableFileList>(target, std::move(files));
  }

  // nullptr for the hot rows.
  static const Segment* segment_of(const ScanTarget& target, const duckdb::OpenFileInfo& file) {
    if (!file.extended_info) return nullptr;
    return &target.all_segments()[file.extended_info->options.at("segment").GetValue<uint64_t>()];
  }

  const std::shared_ptr<const ScanTarget>& target() const { return target_; }

  duckdb::vector<duckdb::OpenFileInfo> GetAllFiles() override { return files_; }
  duckdb::FileExpandResult GetExpandResult() override {
    return files_.empty() ? duckdb::FileExpandResult::NO_FILES : duckdb::FileExpandResult::MULTIPLE_FILES;
  }
  idx_t GetTotalFileCount() override { return files_.size(); }
  duckdb::unique_ptr<duckdb::NodeStatistics> GetCardinality(duckdb::ClientContext&) override {
    return duckdb::make_uniq<duckdb::NodeStatistics>(target_->row_estimate());
  }
  duckdb::unique_ptr<duckdb::MultiFileList> Copy() override {
    return duckdb::make_uniq<TableFileList>(target_, files_);
  }
  duckdb::unique_ptr<duckdb::MultiFileList> ComplexFilterPushdown(
      duckdb::ClientContext&, const duckdb::MultiFileOptions&, duckdb::MultiFilePushdownInfo&,
      duckdb::vector<duckdb::unique_ptr<duckdb::Expression>>&) override {
    return nullptr;
  }
  // Called as the scan starts: leaves out segments in which no row can pass.
  duckdb::unique_ptr<duckdb::MultiFileList> DynamicFilterPushdown(duckdb::ClientContext&,
                                                                  const duckdb::MultiFileOptions&,
                                                                  const duckdb::vector<duckdb::string>&,
                                                                  const duckdb::vector<LogicalType>&,
                                                                  const duckdb::vector<column_t>& column_ids,
                                                                  duckdb::TableFilterSet& filters) const override {
    const ScanBounds bounds = scan_bounds(*target_->table, [&](const model::ColumnDefinition& column) {
      for (const auto& [index, filter] : filters.filters)
        if (scan_column_definition(*target_, column_ids[index]) == &column) return filter.get();
      return static_cast<duckdb::TableFilter*>(nullptr);
    });
    duckdb::vector<duckdb::OpenFileInfo> kept;
    for (const auto& file : files_) {
      const Segment* segment = segment_of(*target_, file);
      if (!segment || may_match(*segment, bounds)) kept.push_back(file);
    }
    if (kept.size() == files_.size()) return nullptr;
    return duckdb::make_uniq<TableFileList>(target_, std::move(kept));
  }

 protected:
  duckdb::OpenFileInfo GetFile(idx_t i) override { return i < files_.size() ? files_[i] : duckdb::OpenFileInfo(); }

 private:
  static duckdb::OpenFileInfo file_of(const ScanTarget& target, size_t index) {
    const Segment& segment = target.all_segments()[index];
    duckdb::OpenFileInfo file(segment_file_name(target.table->id, segment.path));
    file.extended_info = duckdb::make_shared_ptr<duckdb::ExtendedOpenFileInfo>();
    auto& options = file.extended_info->options;
    options["segment"] = duckdb::Value::UBIGINT(index);
    options["file_size"] = duckdb::Value::UBIGINT(segment.size_bytes);
    options["checksum"] = duckdb::Value::UBIGINT(segment.checksum);
    // Segments never change, so what is cached of them stays valid.
    options["validate_external_file_cache"] = duckdb::Value::BOOLEAN(false);
    return file;
  }

  std::shared_ptr<const ScanTarget> target_;
  duckdb::vector<duckdb::OpenFileInfo> files_;
};

class TableFileReader : public duckdb::MultiFileReader {
 public:
  static duckdb::unique_ptr<MultiFileReader> create(const duckdb::TableFunction&) {
    return duckdb::make_uniq<TableFileReader>();
  }

  duckdb::unique_ptr<MultiFileReader> Copy() const override {
    auto copy = duckdb::make_uniq<TableFileReader>();
    copy->function_name = function_name;
    copy->set_target(target_);
    return copy;
  }

  // The function's argument is the slot of the table in the connection's QueryState.
  duckdb::vector<duckdb::string> ParsePaths(const duckdb::Value& slot) override { return {slot.ToString()}; }
  duckdb::shared_ptr<duckdb::MultiFileList> CreateFileList(duckdb::ClientContext& context,
                                                           const duckdb::vector<duckdb::string>& slot,
                                                           const duckdb::FileGlobInput&) override {
    set_target(QueryState::of(context).target(std::stoul(slot.at(0))));
    return duckdb::shared_ptr<duckdb::MultiFileList>(TableFileList::of(target_));
  }

  bool Bind(duckdb::MultiFileOptions& options, duckdb::MultiFileList&, duckdb::vector<LogicalType>& types,
            duckdb::vector<duckdb::string>& names, duckdb::MultiFileReaderBindData& bind_data) override {
    options.auto_detect_hive_partitioning = false;
    bind_data.mapping = duckdb::MultiFileColumnMappingMode::BY_FIELD_ID;
    for (const auto* column : visible_columns(*target_)) {
      bind_data.schema.push_back(scan_column(*column));
      names.push_back(column->name);
      types.push_back(bind_data.schema.back().type);
    }
    return true;
  }

  duckdb::unique_ptr<duckdb::MultiFileReaderGlobalState> InitializeGlobalState(
      duckdb::ClientContext&, const duckdb::MultiFileOptions&, const duckdb::MultiFileReaderBindData&,
      const duckdb::MultiFileList&, const duckdb::vector<duckdb::MultiFileColumnDefinition>&,
      const duckdb::vector<duckdb::ColumnIndex>& column_ids) override {
    asked_.clear();
    for (const auto& id : column_ids) {
      if (const auto* column = scan_column_definition(*target_, id.GetPrimaryIndex())) asked_.push_back(column);
    }
    // Columns of filters are among them, so there are none either.
    count_only_ = std::all_of(column_ids.begin(), column_ids.end(), [](const duckdb::ColumnIndex& id) {
      return id.GetPrimaryIndex() == duckdb::COLUMN_IDENTIFIER_EMPTY;
    });
    return nullptr;
  }

  duckdb::shared_ptr<duckdb::BaseFileReader> CreateReader(duckdb::ClientContext& context,
                                                          duckdb::GlobalTableFunctionState& state,
                                                          const duckdb::OpenFileInfo& file, idx_t index,
                                                          const duckdb::MultiFileBindData& bind_data) override {
    const Segment* segment = TableFileList::segment_of(*target_, file);
    const bool count_only = count_only_;
    if (!segment) {
      const auto known = count_only && target_->source.scan ? target_->source.scan->known_hot_rows() : std::nullopt;
      if (known) return duckdb::make_shared_ptr<RowCounter>(file, *known);
      return duckdb::make_shared_ptr<MemoryReader>(file, target_);
    }
    if (count_only) return duckdb::make_shared_ptr<RowCounter>(file, segment->live_rows());
    auto reader = MultiFileReader::CreateReader(context, state, file, index, bind_data);
    if (!segment->is_all_visible()) reader = RowRangeReader::in_place_of(context, *reader, segment->visible);
    if (!segment->is_all_visible() || (segment->deleted && !segment->deleted->empty()))
      reader->deletion_filter = duckdb::make_uniq<LiveRows>(*segment);
    if (needs_conversion(*reader, asked_)) return duckdb::make_shared_ptr<OldSegmentReader>(std::move(reader), target_);
    return reader;
  }

  duckdb::unique_ptr<duckdb::Expression> GetConstantVirtualColumn(duckdb::MultiFileReaderData& data, idx_t column_id,
                                                                  const LogicalType& type) override {
    const Segment* segment = TableFileList::segment_of(*target_, data.reader->file);
    if (column_id == kSegmentIdColumnId) {
      return duckdb::make_uniq<duckdb::BoundConstantExpression>(segment ? duckdb::Value::UBIGINT(segment->id)
                                                                        : duckdb::Value(type));
    }
    if (column_id == kRowSourceColumnId)
      return duckdb::make_uniq<duckdb::BoundConstantExpression>(duckdb::Value::UBIGINT(segment ? segment->id + 1 : 0));
    return MultiFileReader::GetConstantVirtualColumn(data, column_id, type);
  }

  duckdb::unique_ptr<duckdb::Expression> GetVirtualColumnExpression(
      duckdb::ClientContext& context, duckdb::MultiFileReaderData& data,
      const duckdb::vector<duckdb::MultiFileColumnDefinition>& local_columns, idx_t& column_id, const LogicalType& type,
      duckdb::MultiFileLocalIndex local_index,
      duckdb::optional_ptr<duckdb::MultiFileColumnDefinition>& reference) override {
    const auto* column = scan_column_definition(*target_, column_id);
    // Hot rows have no position, but a `_seq` each.
    if (column_id == kPositionColumnId && !TableFileList::segment_of(*target_, data.reader->file))
      column = target_->table->find_column(model::kSeqColumn);
    if (column) {
      reference = &hidden_[column - target_->table->columns.data()];
      return nullptr;
    }
    return MultiFileReader::GetVirtualColumnExpression(context, data, local_columns, column_id, type, local_index,
                                                       reference);
  }

 private:
  void set_target(std::shared_ptr<const ScanTarget> target) {
    target_ = std::move(target);
    hidden_.clear();
    if (!target_) return;
    for (const auto& column : target_->table->columns) hidden_.push_back(scan_column(column));
  }

  std::shared_ptr<const ScanTarget> target_;
  // Of the scan that runs; a reader belongs to one. DuckDB's threads read them behind InitializeGlobalState(), which
  // the atomic shows ThreadSanitizer too.
  std::atomic<bool> count_only_ = false;
  std::vector<const model::ColumnDefinition*> asked_;
  std::vector<duckdb::MultiFileColumnDefinition> hidden_;  // all columns; used for those that `*` leaves out
};

const ScanTarget& target_of(const duckdb::FunctionData& bind_data) {
  return *dynamic_cast<TableFileList&>(*bind_data.Cast<duckdb::MultiFileBindData>().file_list).target();
}

duckdb::virtual_column_map_t virtual_columns(duckdb::ClientContext&,
                                             duckdb::optional_ptr<duckdb::FunctionData> bind_data) {
  const ScanTarget& target = target_of(*bind_data);
  duckdb::virtual_column_map_t columns;
  // What COUNT(*) reads.
  columns.emplace(duckdb::COLUMN_IDENTIFIER_EMPTY, duckdb::TableColumn("", LogicalType::BOOLEAN));
  for (const auto& column : target.table->columns) {
    if (!target.is_visible(column))
      columns.emplace(kHiddenColumnBase + column.ordinal, duckdb::TableColumn(column.name, to_duck_type(column.type)));
  }
  if (target.with_position) {
    columns.emplace(kSegmentIdColumnId, duckdb::TableColumn(kSegmentIdColumn, LogicalType::UBIGINT));
    columns.emplace(kPositionColumnId, duckdb::TableColumn(kPositionColumn, LogicalType::BIGINT));
  }
  bind_data->Cast<duckdb::MultiFileBindData>().virtual_columns = columns;
  return columns;
}

duckdb::vector<column_t> row_id_columns(duckdb::ClientContext&, duckdb::optional_ptr<duckdb::FunctionData>) {
  return {kRowSourceColumnId, kPositionColumnId};
}

// The number of hot rows, exact where counting them is quick: the estimate may be far off.
std::string hot_rows_text(const TableScan& scan) {
  if (const auto known = scan.known_hot_rows()) return std::to_string(*known);
  constexpr uint64_t kCounted = 10'000;
  uint64_t rows = 0;
  for (const auto hot = scan.hot({}, false); rows <= kCounted; ++rows) {
    const auto record = hot->next();
    if (!record) break;  // reading them tells why
    if (!*record) return std::to_string(rows);
  }
  return "about " + std::to_string(std::max(rows, scan.hot_row_estimate()));
}

// For EXPLAIN: the table's name, and of the caller's own rows how many lie where; nothing about files.
duckdb::InsertionOrderPreservingMap<duckdb::string> to_string(duckdb::TableFunctionToStringInput& input) {
  duckdb::InsertionOrderPreservingMap<duckdb::string> result;
  const ScanTarget& target = target_of(*input.bind_data);
  result["Table"] = target.table->qualified_name();
  if (!target.source.scan) return result;
  result["Hot rows"] = hot_rows_text(*target.source.scan);
  const size_t segments = target.all_segments().size();
  result["Segments"] = std::to_string(target.kept_segments.value_or(segments)) + " of " + std::to_string(segments);
  return result;
}

}  // namespace

const ScanTarget* scan_target(const duckdb::LogicalGet& get) {
  return get.function.name == kScanFunction && get.bind_data ? &target_of(*get.bind_data) : nullptr;
}

const model::ColumnDefinition* scan_column_definition(const ScanTarget& target, column_t column_id) {
  for (const auto& column : target.table->columns)
    if (scan_column_id(target, column) == column_id) return &column;
  return nullptr;
}

column_t scan_column_id(const ScanTarget& target, const model::ColumnDefinition& column) {
  if (!target.is_visible(column)) return kHiddenColumnBase + column.ordinal;
  column_t id = 0;
  for (const auto& other : target.table->columns) {
    if (&other == &column) break;
    id += target.is_visible(other);
  }
  return id;
}

void allow_late_materialization(duckdb::LogicalGet& get) {
  const ScanTarget* target = scan_target(get);
  if (!target || !target->source.scan) return;
  // What is hot is read twice as a whole; of segments, the second time just the row groups of the result's rows.
  constexpr uint64_t kColdRows = 100'000, kColdPerHot = 10;
  const uint64_t hot = target->memory_row_estimate();
  const uint64_t cold = target->row_estimate() - hot;
  if (cold < kColdRows || cold < hot * kColdPerHot) return;
  get.virtual_columns.emplace(kRowSourceColumnId, duckdb::TableColumn("", LogicalType::UBIGINT));
  get.virtual_columns.emplace(kPositionColumnId, duckdb::TableColumn("", LogicalType::BIGINT));
  get.bind_data->Cast<duckdb::MultiFileBindData>().virtual_columns = get.virtual_columns;
  get.function.get_row_id_columns = row_id_columns;
  get.function.late_materialization = true;
}

std::vector<std::string> hidden_columns(const ScanTarget& target) {
  std::vector<std::string> names;
  for (const auto& column : target.table->columns)
    if (!target.is_visible(column)) names.push_back(column.name);
  if (target.with_position) names.insert(names.end(), {kSegmentIdColumn, kPositionColumn});
  return names;
}

void register_table_scan(duckdb::DatabaseInstance& database) {
  auto& catalog = duckdb::Catalog::GetSystemCatalog(database);
  const auto transaction = duckdb::CatalogTransaction::GetSystemTransaction(database);
  auto& schema = catalog.GetSchema(transaction, DEFAULT_SCHEMA);
  auto entry = schema.GetEntry(transaction, duckdb::CatalogType::TABLE_FUNCTION_ENTRY, "parquet_scan");
  duckdb::TableFunction scan = entry->Cast<duckdb::TableFunctionCatalogEntry>().functions.functions.at(0);
  scan.name = kScanFunction;
  scan.arguments = {LogicalType::UBIGINT};
  scan.named_parameters.clear();
  scan.get_multi_file_reader = TableFileReader::create;
  scan.get_virtual_columns = virtual_columns;
  scan.to_string = to_string;
  scan.statistics = nullptr;
  scan.dynamic_to_string = nullptr;
  scan.get_bind_info = nullptr;
  scan.get_partition_stats = nullptr;
  scan.get_row_id_columns = nullptr;  // see allow_late_materialization
  scan.late_materialization = false;
  scan.serialize = nullptr;
  scan.deserialize = nullptr;
  scan.verify_serialization = false;
  duckdb::CreateTableFunctionInfo info(std::move(scan));
  info.internal = true;
  catalog.CreateFunction(transaction, info);
}

}  // namespace kalamdb::duck
