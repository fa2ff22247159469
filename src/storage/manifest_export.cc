#include "storage/manifest_export.h"

#include "base/log.h"
#include "hot/keys.h"

namespace kalamdb::storage {

bool export_manifest(const SegmentsContext& context, const model::TablePtr& table, const UserId& user) {
  const std::string scope = hot::scope_prefix(table->id, user);
  const auto exported = [&]() -> Result<> {
    (void)context.segments.take_changed(scope);  // first, so that what changes from here on is noted again
    const auto snapshot = context.store.snapshot();
    KALAM_TRY(const auto manifest, context.segments.manifest(scope, snapshot));
    if (manifest == nullptr) return {};
    KALAM_TRY(const auto deletions, context.segments.all_deletions(scope, *manifest, snapshot));
    return context.files.export_manifest(*manifest, *table, user, deletions);
  }();
  if (exported) return true;
  log::warn("storage: manifest.json of {}: {}", table->qualified_name(), exported.error().message);
  context.segments.note_changed(scope);
  return false;
}

bool export_changed_manifests(const SegmentsContext& context, const model::TablePtr& table) {
  const auto scopes = context.segments.take_changed(hot::table_prefix(table->id));
  bool all = true;
  for (const std::string& scope : scopes) {
    const auto user = hot::scope_user(scope);
    if (all && user) {
      all = export_manifest(context, table, *user);
    } else {
      context.segments.note_changed(scope);
    }
  }
  return all;
}

}  // namespace kalamdb::storage
