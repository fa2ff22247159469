// Namespaces, tables, users and settings: persistent definitions, written through the committer, and read from memory
// without locks: namespaces and users all of them, tables those used lately (registry.h). A change is visible to every
// reader before it is acknowledged.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/shared_slot.h"
#include "catalog/registry.h"
#include "catalog/user.h"
#include "model/table.h"
#include "storage/lru_cache.h"
#include "storage/storage.h"

namespace kalamdb::catalog {

// Namespaces, users and views at one moment. Immutable.
struct CatalogState {
  std::map<std::string, model::NamespaceDefinition, std::less<>> namespaces;
  std::map<std::string, model::TablePtr, std::less<>> views;  // by "namespace.view"
  std::map<std::string, UserPtr, std::less<>> users;
};
using CatalogStatePtr = std::shared_ptr<const CatalogState>;

// A table or view of a backup, as it is to be.
struct RestoredTable {
  model::TablePtr table;
  std::vector<model::SchemaVersion> history;
};

// The view of a record of RecordSpace::kTable; nullptr for that of a table, most of which are not decoded for it.
// Errors: kCorruption.
Result<model::TablePtr> decode_if_view(std::string_view record);

// Gives a new table `_seq` and `_deleted`, and `_key` if it has no primary key.
void add_system_columns(model::TableDefinition& table);

// Thread-safe. Changes are serialised among themselves.
class Catalog {
 public:
  // Loads namespaces, users and up to `schema_cache_size` tables; on a new database creates the namespaces `default`
  // and `dba` and the user `root` (role system, auth_type Internal, no password). `storage` and `clock` must outlive
  // it.
  static Result<std::unique_ptr<Catalog>> open(storage::Storage& storage, platform::Clock& clock,
                                               size_t schema_cache_size);

  // What is true now. Keep it for the length of one statement.
  CatalogStatePtr state() const { return state_.load(); }
  // Grows with every change of a table or namespace: whoever cached something derived from the catalog compares it.
  uint64_t version() const { return version_.load(std::memory_order_acquire); }

  // Names are lower case. nullptr where there is none. A table that is not in memory is read from the disk. Two
  // look-ups may give different pointers for the same version of a table. Errors: kIo, kCorruption.
  Result<model::TablePtr> find_table(std::string_view namespace_id, std::string_view name) const {
    return registry_.find(namespace_id, name);
  }
  // The tables of a namespace, or of all, by name; mostly from the disk where there are more than memory keeps.
  Result<std::vector<model::TablePtr>> tables(std::string_view namespace_id) const {
    return registry_.list(namespace_id);
  }
  Result<std::vector<model::TablePtr>> tables() const { return registry_.list(""); }
  // The versions of the table's schema up to that of `table`, oldest first. They are read from the disk. Errors:
  // kTableNotFound when the table is gone; kIo, kCorruption.
  Result<std::vector<model::SchemaVersion>> history(const model::TableDefinition& table) const;
  // Rows that were computed from all tables, for whoever wants the same again. The key names the version().
  using Listings = storage::LruCache<std::vector<model::Row>>;
  Listings& listings() const { return listings_; }
  RegistryCounters schema_cache_counters() const { return registry_.counters(); }
  bool has_namespace(std::string_view name) const;
  UserPtr find_user(std::string_view id) const;  // soft-deleted ones too

  // Errors: kAlreadyExists.
  Result<> create_namespace(std::string name);
  // Puts these options beside those that the namespace has, or in their place. Errors: kNamespaceNotFound.
  Result<> set_namespace_options(const std::string& name,
                                 const std::vector<std::pair<std::string, std::string>>& options);
  // The namespace with all its tables, whose definitions it returns. Errors: kNamespaceNotFound.
  Result<std::vector<model::TablePtr>> drop_namespace(std::string_view name);

  // Gives `draft` its id, times and system columns. Errors: kNamespaceNotFound, kAlreadyExists.
  Result<model::TablePtr> create_table(model::TableDefinition draft);
  // Definition and hot rows go at once; segments are the caller's to remove. Errors: kTableNotFound.
  Result<model::TablePtr> drop_table(std::string_view namespace_id, std::string_view name);
  // Takes the definition out; the rest of the table stays, for Storage::unregister(). Errors: kConflict when `table` is
  // not current any more.
  Result<> unregister_table(const model::TablePtr& table);
  // Replaces `base` by `changed`, which may have another name; gives it the next schema version, with `description` in
  // its history. `validate`: see CommitRequest. Errors: kConflict when `base` is not current any more; kAlreadyExists
  // for a name that is taken; those of `validate`.
  Result<model::TablePtr> alter_table(const model::TablePtr& base, model::TableDefinition changed,
                                      std::string description, std::function<Result<>()> validate);

  // Views are among the tables and share their names. With `or_replace` a view of that name becomes a new version of
  // itself. Errors: kNamespaceNotFound, kAlreadyExists, kInvalidOperation when the view would read itself.
  Result<model::TablePtr> create_view(model::TableDefinition draft, bool or_replace);
  // The view bound anew, with the columns that it has now. Nothing happens if it is not `old` any more.
  Result<> rebind_view(const model::TableDefinition& old, std::vector<model::ColumnDefinition> columns,
                       std::vector<model::ViewDefinition::Dependency> tables);
  // Errors: kNotFound.
  Result<> drop_view(std::string_view namespace_id, std::string_view name);

  // Fails unless the namespace is there and the name free.
  Result<> check_new_name(std::string_view namespace_id, std::string_view name) const;
  // Fails with kAlreadyExists unless each of the namespaces is missing or empty.
  Result<> check_restorable(const std::vector<model::NamespaceDefinition>& namespaces) const;
  // The first of `count` ids in a row that no table gets otherwise.
  Result<TableId> reserve_table_ids(uint32_t count);
  // Adds namespaces and tables, of these or of others, in one commit with what `request` has. Errors: kAlreadyExists,
  // kNamespaceNotFound, kNotFound for a storage.
  Result<> add_restored(std::vector<model::NamespaceDefinition> namespaces, const std::vector<RestoredTable>& tables,
                        storage::CommitRequest request);

  // Errors: kAlreadyExists (also for soft-deleted ones).
  Result<UserPtr> create_user(User user);
  // Replaces a user's record by what `change` makes of it; bumps updated_at. Errors: kNotFound.
  Result<UserPtr> change_user(std::string_view id, const std::function<void(User&)>& change);

  // The record of a soft-deleted user, whose name may then be used again. Errors: kNotFound, kInvalidOperation when the
  // user is not soft-deleted.
  Result<> remove_user(std::string_view id);

  // Told of every user that was created or changed, once it is visible to readers. Set before users change.
  using UserListener = std::function<void(const UserPtr&)>;
  void set_user_listener(UserListener listener) { user_listener_ = std::move(listener); }

  // Storages are read from storage::Storage::storages(); `local` is always there. Whoever calls has validated the
  // definition. Errors: kAlreadyExists, kInvalidOperation when its files would lie among another's.
  Result<> create_storage(cold::StorageDefinition definition);
  Result<> check_new_storage(const cold::StorageDefinition& definition) const;
  // Errors: kNotFound, and those of `change`.
  Result<> alter_storage(std::string_view id, const std::function<Result<>(cold::StorageDefinition&)>& change);
  // Errors: kNotFound, kInvalidOperation for one that is in use.
  Result<> drop_storage(std::string_view id);

  // A small secret or setting that the server keeps for itself.
  Result<std::optional<std::string>> setting(std::string_view name) const;
  Result<> put_setting(std::string_view name, std::string value);

 private:
  Catalog(storage::Storage& storage, platform::Clock& clock, size_t schema_cache_size)
      : storage_(storage), clock_(clock), registry_(storage.hot(), schema_cache_size) {}
  Result<> load();
  Result<> bootstrap();
  Result<> put_user(const UserPtr& user);
  Result<> put_storage(cold::StorageDefinition definition);
  // Errors: kNotFound for a storage that is not there; "" is none.
  Result<> check_storage(const std::string& id) const;
  Result<> put_view(const model::TablePtr& view, const std::vector<model::SchemaVersion>& history,
                    storage::CommitRequest request);
  // An id for a new table or view, which `request` then takes.
  Result<TableId> next_table_id(storage::CommitRequest& request);
  // Of a new USER table: whether its users share segments, which is so for good. Errors: kInvalidOperation.
  Result<> settle_shards(model::TableDefinition& draft) const;
  // Commits a change. `apply` shows it to readers, on the committer's thread: before a row can be written as a new
  // version of its table, and before live queries hear of it, so that who finds the old definition can still be told.
  Result<> commit(storage::CommitRequest request, const std::function<void()>& apply);
  // The same for tables and namespaces.
  Result<> commit_schema(storage::CommitRequest request, const std::function<void()>& apply);
  void publish(CatalogState next) { state_.store(std::make_shared<const CatalogState>(std::move(next))); }
  // Tables or namespaces have changed, and readers see it.
  void bump_version() { version_.fetch_add(1, std::memory_order_acq_rel); }

  storage::Storage& storage_;
  platform::Clock& clock_;
  mutable Registry registry_;           // a look-up may load
  mutable Listings listings_{8 << 20};  // cost in bytes
  UserListener user_listener_;
  std::mutex change_mutex_;
  SharedSlot<const CatalogState> state_;
  std::atomic<uint64_t> version_{1};
};

}  // namespace kalamdb::catalog
