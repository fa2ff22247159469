#include "storage/analyze.h"

#include <algorithm>
#include <utility>

#include "hot/keys.h"
#include "storage/manifest_export.h"
#include "storage/segment_facts.h"
#include "storage/segments_change.h"

namespace kalamdb::storage {
namespace {

using hot::RecordSpace;

// What was found in one segment.
struct Analyzed {
  uint64_t id = 0;
  std::vector<model::ColumnStats> columns;
  std::string filter_record;
};

class AnalyzeChange final : public SegmentsChange {
 public:
  AnalyzeChange(model::TablePtr table, std::string scope, Seq snapshot_seq, Analyzed analyzed)
      : table_(std::move(table)),
        scope_(std::move(scope)),
        snapshot_seq_(snapshot_seq),
        analyzed_(std::move(analyzed)) {}

  TableId table() const override { return table_->id; }
  uint32_t schema_version() const override { return table_->schema_version; }
  Seq snapshot_seq() const override { return snapshot_seq_; }

  Result<> apply(const hot::Store& store, hot::Batch& batch) override {
    KALAM_TRY(const auto record, store.get_record(RecordSpace::kManifest, scope_, nullptr));
    if (!record) return fail(ErrorCode::kConflict, "The table's segments were removed meanwhile");
    KALAM_TRY(cold::Manifest manifest, cold::decode_manifest(*record));
    const auto segment = std::ranges::find(manifest.segments, analyzed_.id, &cold::SegmentEntry::id);
    if (segment == manifest.segments.end()) return {};
    segment->columns = analyzed_.columns;
    ++manifest.version;
    batch.put_record(RecordSpace::kManifest, scope_, cold::encode(manifest));
    batch.put_record(RecordSpace::kFilter, segment_record_key(scope_, analyzed_.id), analyzed_.filter_record);
    return {};
  }

 private:
  model::TablePtr table_;
  std::string scope_;
  Seq snapshot_seq_;
  Analyzed analyzed_;
};

// Reads the whole segment, deleted rows too: what is known holds for every snapshot.
Result<Analyzed> read(const SegmentsContext& context, const model::TablePtr& table, duck::Segment segment) {
  segment.deleted = nullptr;
  KALAM_TRY(const auto rows, context.engine.read_segment(table, segment));
  SegmentFacts facts(*table);
  while (true) {
    KALAM_TRY(const duck::SegmentRow* row, rows->next());
    if (row == nullptr) break;
    KALAM_CHECK(facts.add(*row));
  }
  return Analyzed{.id = segment.id, .columns = facts.columns(), .filter_record = facts.filter_record()};
}

}  // namespace

Result<> analyze_scope(const SegmentsContext& context, TableMutexes& mutexes, const model::TablePtr& table,
                       const SegmentScope& scope, AnalyzeResult& result) {
  const auto snapshot = context.store.snapshot();
  KALAM_TRY(const auto manifest, context.segments.manifest(scope.key, snapshot));
  if (manifest == nullptr) return {};
  const uint64_t before = result.analyzed;
  for (size_t i = 0; i < manifest->segments.size(); ++i) {
    const uint64_t id = manifest->segments[i].id;
    ++result.segments;
    KALAM_TRY(const auto filter, context.segments.filter(scope.key, id));
    if (filter != nullptr && !manifest->segments[i].columns.empty()) continue;
    KALAM_CHECK(check_stop(context.stop));
    KALAM_TRY(Analyzed analyzed, read(context, table, context.files.to_segment(manifest, i, nullptr)));
    CommitRequest request;
    request.segments_change = std::make_shared<AnalyzeChange>(table, scope.key, snapshot->seq(), std::move(analyzed));
    const std::lock_guard lock(mutexes.segments);
    KALAM_CHECK(context.committer.commit(std::move(request)));
    ++result.analyzed;
  }
  if (result.analyzed > before) export_manifest(context, table, scope);
  return {};
}

}  // namespace kalamdb::storage
