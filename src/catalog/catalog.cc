#include "catalog/catalog.h"

#include <future>
#include <utility>

#include "base/bytes.h"

namespace kalamdb::catalog {

using hot::RecordSpace;
using storage::CommitRequest;

namespace {

constexpr std::string_view kNextTableId = "next_table_id";

// Loads every record of a space through `decode` into `add`.
template <typename Decode, typename Add>
Result<> load_space(const hot::Store& store, RecordSpace space, Decode decode, Add add) {
  Result<> outcome;
  KALAM_CHECK(store.scan_records(space, "", nullptr, [&](std::string_view, std::string_view value) {
    auto decoded = decode(value);
    if (!decoded) {
      outcome = fail(std::move(decoded).error());
      return false;
    }
    add(*std::move(decoded));
    return true;
  }));
  return outcome;
}

model::ColumnDefinition system_column(std::string_view name, model::TypeTag tag, uint32_t ordinal) {
  model::ColumnDefinition column;
  column.name = name;
  column.ordinal = ordinal;
  column.type = model::DataType{tag};
  column.nullable = false;
  return column;
}

// Tables without PRIMARY KEY get the hidden key column; all get `_seq`, and `_deleted` where rows leave tombstones.
}  // namespace

Result<model::TablePtr> decode_if_view(std::string_view record) {
  if (!record.contains("\"view\"")) return nullptr;
  KALAM_TRY(auto table, model::decode_table(record));
  if (!table.is_view()) return nullptr;
  return std::make_shared<const model::TableDefinition>(std::move(table));
}

void add_system_columns(model::TableDefinition& table) {
  uint32_t ordinal = table.max_ordinal();
  if (table.primary_key().empty()) {
    auto key = system_column(model::kHiddenKeyColumn, model::TypeTag::kBigInt, ++ordinal);
    key.primary_key_position = 1;
    key.default_value.kind = model::ColumnDefault::Kind::kFunction;
    key.default_value.function = "SNOWFLAKE_ID";
    table.columns.push_back(std::move(key));
  }
  table.columns.push_back(system_column(model::kSeqColumn, model::TypeTag::kBigInt, ++ordinal));
  auto deleted = system_column(model::kDeletedColumn, model::TypeTag::kBoolean, ++ordinal);
  deleted.default_value.kind = model::ColumnDefault::Kind::kLiteral;
  deleted.default_value.literal = false;
  table.columns.push_back(std::move(deleted));
}

Result<std::unique_ptr<Catalog>> Catalog::open(storage::Storage& storage, platform::Clock& clock,
                                               size_t schema_cache_size) {
  std::unique_ptr<Catalog> catalog(new Catalog(storage, clock, schema_cache_size));
  KALAM_CHECK(catalog->load());
  KALAM_CHECK(catalog->bootstrap());
  storage.set_user_storage([catalog = catalog.get()](const UserId& id) {
    const UserPtr user = catalog->find_user(id.value);
    return user == nullptr ? std::string() : user->storage_id;
  });
  return catalog;
}

Result<> Catalog::load() {
  CatalogState state;
  const hot::Store& store = storage_.hot();
  KALAM_CHECK(load_space(store, RecordSpace::kNamespace, model::decode_namespace,
                         [&](model::NamespaceDefinition ns) { state.namespaces.emplace(ns.name, ns); }));
  KALAM_CHECK(load_space(store, RecordSpace::kUser, decode_user, [&](User user) {
    auto pointer = std::make_shared<const User>(std::move(user));
    state.users.emplace(pointer->id, pointer);
  }));
  KALAM_CHECK(load_space(store, RecordSpace::kTable, decode_if_view, [&](model::TablePtr view) {
    if (view != nullptr) state.views.emplace(view->qualified_name(), view);
  }));
  publish(std::move(state));
  return registry_.warm();
}

Result<> Catalog::bootstrap() {
  for (const char* name : {"default", "dba"}) {
    if (!has_namespace(name)) KALAM_CHECK(create_namespace(name));
  }
  if (find_user("root") == nullptr) {
    User root;
    root.id = "root";
    root.role = Role::kSystem;
    root.email = "root@localhost";
    root.auth_type = "Internal";
    KALAM_CHECK(create_user(std::move(root)));
  }
  return {};
}

Result<std::vector<model::SchemaVersion>> Catalog::history(const model::TableDefinition& table) const {
  KALAM_TRY(const auto record,
            storage_.hot().get_record(RecordSpace::kTable, table.qualified_name(), /*snapshot=*/nullptr));
  if (!record) return fail(ErrorCode::kTableNotFound, table.qualified_name());
  KALAM_TRY(auto history, model::decode_history(*record));
  // The table may have been altered since `table` was looked up.
  std::erase_if(history, [&](const auto& version) { return version.version > table.schema_version; });
  return history;
}

bool Catalog::has_namespace(std::string_view name) const { return state()->namespaces.contains(name); }

UserPtr Catalog::find_user(std::string_view id) const {
  const CatalogStatePtr current = state();
  const auto found = current->users.find(id);
  return found == current->users.end() ? nullptr : found->second;
}

Result<> Catalog::commit(CommitRequest request, const std::function<void()>& apply) {
  auto answer = std::make_shared<std::promise<Result<>>>();  // outlives the call that sets it
  auto committed = answer->get_future();
  storage_.committer().submit(std::move(request), [&, answer](const Result<storage::ChangeSetPtr>& done) {
    if (done) apply();
    answer->set_value(done ? Result<>() : Result<>(std::unexpected(done.error())));
  });
  return committed.get();
}

Result<> Catalog::commit_schema(CommitRequest request, const std::function<void()>& apply) {
  return commit(std::move(request), [&] {
    bump_version();  // plans that are made meanwhile are old in either case
    apply();
    bump_version();
  });
}

Result<> Catalog::create_namespace(std::string name) {
  const std::lock_guard lock(change_mutex_);
  if (has_namespace(name)) return fail(ErrorCode::kAlreadyExists, "Namespace '" + name + "' already exists");
  model::NamespaceDefinition definition{.name = name, .created_at_us = clock_.now_us()};
  CommitRequest request;
  request.records.push_back({RecordSpace::kNamespace, name, encode(definition), std::nullopt});
  CatalogState next = *state();
  next.namespaces.emplace(std::move(name), std::move(definition));
  return commit_schema(std::move(request), [&] { publish(std::move(next)); });
}

Result<std::vector<model::TablePtr>> Catalog::drop_namespace(std::string_view name) {
  const std::lock_guard lock(change_mutex_);
  if (!has_namespace(name)) {
    return fail(ErrorCode::kNamespaceNotFound, "Namespace '" + std::string(name) + "' not found");
  }
  CommitRequest request;
  request.records.push_back({RecordSpace::kNamespace, std::string(name), std::nullopt, std::nullopt});
  KALAM_TRY(auto dropped, registry_.list(name));
  for (const auto& table : dropped) {
    request.records.push_back({RecordSpace::kTable, table->qualified_name(), std::nullopt, std::nullopt});
    request.table_changes.push_back({table->id, 0});
    request.erase_tables.push_back(table->id);
  }
  CatalogState next = *state();
  next.namespaces.erase(next.namespaces.find(name));
  for (const auto& table : dropped) next.views.erase(table->qualified_name());
  KALAM_CHECK(commit_schema(std::move(request), [&] {
    publish(std::move(next));
    for (const auto& table : dropped) registry_.erase(table->namespace_id, table->name);
  }));
  return dropped;
}

Result<> Catalog::check_new_name(std::string_view namespace_id, std::string_view name) const {
  if (!has_namespace(namespace_id)) {
    const std::string missing(namespace_id);
    return fail(ErrorCode::kNamespaceNotFound,
                "Namespace '" + missing + "' does not exist. Create it first with CREATE NAMESPACE " + missing);
  }
  KALAM_TRY(const auto existing, find_table(namespace_id, name));
  if (existing == nullptr) return {};
  return fail(ErrorCode::kAlreadyExists,
              (existing->is_view() ? "View " : "Table ") + existing->qualified_name() + " already exists");
}

Result<TableId> Catalog::next_table_id(CommitRequest& request) {
  KALAM_TRY(const auto stored_id, storage_.hot().get_record(RecordSpace::kMeta, kNextTableId, nullptr));
  const uint32_t id = stored_id && stored_id->size() == 4 ? read_big_endian<uint32_t>(stored_id->data()) : 1;
  std::string next_id;
  append_big_endian<uint32_t>(next_id, id + 1);
  request.records.push_back({RecordSpace::kMeta, std::string(kNextTableId), std::move(next_id), std::nullopt});
  return TableId(id);
}

Result<> Catalog::settle_shards(model::TableDefinition& draft) const {
  if (draft.type != model::TableType::kUser) return {};
  const auto storage = storage_.storages().find(draft.options.storage_id);
  draft.options.user_shards = storage_.storages().user_shards();
  draft.options.shares_segments = storage != nullptr && !cold::names_user(storage->definition.user_template);
  if (!draft.options.shares_segments) return {};
  const auto refused = [&](const std::string& what) {
    return fail(ErrorCode::kInvalidOperation, "Table " + draft.qualified_name() + ": " + what +
                                                  " needs a storage whose template for USER tables has "
                                                  "{userId}; in that of '" +
                                                  draft.options.storage_id + "' users share segments");
  };
  if (draft.options.use_user_storage) return refused("USE_USER_STORAGE");
  if (std::ranges::any_of(draft.columns, &model::ColumnDefinition::partition_key)) return refused("PARTITION BY");
  return {};
}

Result<model::TablePtr> Catalog::create_table(model::TableDefinition draft) {
  const std::lock_guard lock(change_mutex_);
  KALAM_CHECK(check_new_name(draft.namespace_id, draft.name));
  KALAM_CHECK(check_storage(draft.options.storage_id));
  KALAM_CHECK(settle_shards(draft));
  CommitRequest request;
  KALAM_TRY(draft.id, next_table_id(request));
  draft.created_at_us = draft.updated_at_us = clock_.now_us();
  draft.schema_version = 1;
  add_system_columns(draft);
  const std::vector<model::SchemaVersion> history = {{1, draft.created_at_us, "CREATE TABLE", draft.columns}};
  auto table = std::make_shared<const model::TableDefinition>(std::move(draft));

  request.records.push_back({RecordSpace::kTable, table->qualified_name(), encode(*table, history), std::nullopt});
  request.table_changes.push_back({table->id, table->schema_version});
  KALAM_CHECK(commit_schema(std::move(request), [&] { registry_.put(table); }));
  return table;
}

Result<model::TablePtr> Catalog::drop_table(std::string_view namespace_id, std::string_view name) {
  const std::lock_guard lock(change_mutex_);
  KALAM_TRY(model::TablePtr table, find_table(namespace_id, name));
  if (table != nullptr && table->is_view()) {
    return fail(ErrorCode::kInvalidOperation, table->qualified_name() + " is a view; use DROP VIEW");
  }
  if (table == nullptr) {
    return fail(ErrorCode::kNotFound,
                "Table '" + std::string(name) + "' not found in namespace '" + std::string(namespace_id) + "'");
  }
  CommitRequest request;
  request.records.push_back({RecordSpace::kTable, table->qualified_name(), std::nullopt, std::nullopt});
  request.table_changes.push_back({table->id, 0});
  request.erase_tables.push_back(table->id);
  KALAM_CHECK(commit_schema(std::move(request), [&] { registry_.erase(table->namespace_id, table->name); }));
  return table;
}

Result<> Catalog::unregister_table(const model::TablePtr& table) {
  const std::lock_guard lock(change_mutex_);
  KALAM_TRY(auto record, storage_.hot().get_record(RecordSpace::kTable, table->qualified_name(), nullptr));
  KALAM_TRY(const auto current, find_table(table->namespace_id, table->name));
  if (!record || current == nullptr || current->id != table->id) {
    return fail(ErrorCode::kConflict, "Table " + table->qualified_name() + " was renamed or dropped meanwhile");
  }
  CommitRequest request;
  request.records.push_back({RecordSpace::kTable, table->qualified_name(), std::nullopt, std::nullopt});
  request.records.push_back(storage::unregistered_record(table->id, *std::move(record)));
  request.table_changes.push_back({table->id, 0});
  return commit_schema(std::move(request), [&] { registry_.erase(table->namespace_id, table->name); });
}

Result<> Catalog::put_user(const UserPtr& user) {
  CommitRequest request;
  request.records.push_back({RecordSpace::kUser, user->id, encode(*user), std::nullopt});
  CatalogState next = *state();
  next.users.insert_or_assign(user->id, user);
  KALAM_CHECK(commit(std::move(request), [&] { publish(std::move(next)); }));
  if (user_listener_) user_listener_(user);
  return {};
}

Result<UserPtr> Catalog::create_user(User user) {
  const std::lock_guard lock(change_mutex_);
  if (find_user(user.id) != nullptr) return fail(ErrorCode::kAlreadyExists, "User '" + user.id + "' already exists");
  KALAM_CHECK(check_storage(user.storage_id));
  user.created_at_us = user.updated_at_us = clock_.now_us();
  auto created = std::make_shared<const User>(std::move(user));
  KALAM_CHECK(put_user(created));
  return created;
}

Result<> Catalog::remove_user(std::string_view id) {
  const std::lock_guard lock(change_mutex_);
  const UserPtr current = find_user(id);
  if (current == nullptr) return fail(ErrorCode::kNotFound, "User '" + std::string(id) + "' not found");
  if (current->deleted_at_us == 0) return fail(ErrorCode::kInvalidOperation, "User must be soft-deleted first");
  CommitRequest request;
  request.records.push_back({RecordSpace::kUser, current->id, std::nullopt, std::nullopt});
  CatalogState next = *state();
  next.users.erase(current->id);
  return commit(std::move(request), [&] { publish(std::move(next)); });
}

Result<UserPtr> Catalog::change_user(std::string_view id, const std::function<void(User&)>& change) {
  const std::lock_guard lock(change_mutex_);
  const UserPtr current = find_user(id);
  if (current == nullptr) return fail(ErrorCode::kNotFound, "User '" + std::string(id) + "' not found");
  User next = *current;
  change(next);
  if (next.storage_id != current->storage_id) KALAM_CHECK(check_storage(next.storage_id));
  next.updated_at_us = clock_.now_us();
  auto changed = std::make_shared<const User>(std::move(next));
  KALAM_CHECK(put_user(changed));
  return changed;
}

Result<std::optional<std::string>> Catalog::setting(std::string_view name) const {
  return storage_.hot().get_record(RecordSpace::kSetting, name, nullptr);
}

Result<> Catalog::put_setting(std::string_view name, std::string value) {
  CommitRequest request;
  request.records.push_back({RecordSpace::kSetting, std::string(name), std::move(value), std::nullopt});
  KALAM_CHECK(storage_.committer().commit(std::move(request)));
  return {};
}

}  // namespace kalamdb::catalog
