#include "storage/manifest_export.h"

#include "base/log.h"
#include "hot/keys.h"

namespace kalamdb::storage {

bool export_manifest(const SegmentsContext& context, const model::TablePtr& table, const SegmentScope& scope) {
  const auto exported = [&]() -> Result<> {
    (void)context.segments.take_changed(scope.key);  // first, so that what changes from here on is noted again
    const auto snapshot = context.store.snapshot();
    KALAM_TRY(const auto manifest, context.segments.manifest(scope.key, snapshot));
    if (manifest == nullptr) return {};
    KALAM_TRY(const auto deletions, context.segments.all_deletions(scope.key, *manifest, snapshot));
    return context.files.export_manifest(*manifest, *table, scope, deletions);
  }();
  if (exported) return true;
  log::warn("storage: manifest.json of {}: {}", table->qualified_name(), exported.error().message);
  context.segments.note_changed(scope.key);
  return false;
}

bool export_changed_manifests(const SegmentsContext& context, const model::TablePtr& table) {
  const auto scopes = context.segments.take_changed(hot::table_prefix(table->id));
  bool all = true;
  for (const std::string& key : scopes) {
    const auto scope = scope_of_key(key);
    if (all && scope) {
      all = export_manifest(context, table, *scope);
    } else {
      context.segments.note_changed(key);
    }
  }
  return all;
}

}  // namespace kalamdb::storage
