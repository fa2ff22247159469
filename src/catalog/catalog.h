// Namespaces, tables, users and settings: persistent definitions, written through the committer, and a cache of all of
// them that readers use without locks. A change is visible to every reader before it is acknowledged.
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
#include <unordered_map>
#include <vector>

#include "catalog/user.h"
#include "model/table.h"
#include "storage/storage.h"

namespace kalamdb::catalog {

// The definitions at one moment. Immutable.
struct CatalogState {
  std::map<std::string, model::NamespaceDefinition, std::less<>> namespaces;
  std::map<std::string, model::TablePtr, std::less<>> tables;  // by "namespace.table"
  std::map<std::string, UserPtr, std::less<>> users;
};
using CatalogStatePtr = std::shared_ptr<const CatalogState>;

// Thread-safe. Changes are serialised among themselves.
class Catalog {
 public:
  // Loads everything; on a new database creates the namespaces `default` and `dba` and the user `root` (role system,
  // auth_type Internal, no password). `storage` and `clock` must outlive it.
  static Result<std::unique_ptr<Catalog>> open(storage::Storage& storage, platform::Clock& clock);

  // What is true now. Keep it for the length of one statement.
  CatalogStatePtr state() const { return state_.load(std::memory_order_acquire); }
  // Grows with every change of a table or namespace: whoever cached something derived from the catalog compares it.
  uint64_t version() const { return version_.load(std::memory_order_acquire); }

  // Names are lower case. nullptr where there is none.
  model::TablePtr find_table(std::string_view namespace_id, std::string_view name) const;
  bool has_namespace(std::string_view name) const;
  UserPtr find_user(std::string_view id) const;  // soft-deleted ones too

  // Errors: kAlreadyExists.
  Result<> create_namespace(std::string name);
  // The namespace with all its tables, whose definitions it returns. Errors: kNamespaceNotFound.
  Result<std::vector<model::TablePtr>> drop_namespace(std::string_view name);

  // Gives `draft` its id, times and system columns. Errors: kNamespaceNotFound, kAlreadyExists.
  Result<model::TablePtr> create_table(model::TableDefinition draft);
  // Definition and hot rows go at once; segments are the caller's to remove. Errors: kTableNotFound.
  Result<model::TablePtr> drop_table(std::string_view namespace_id, std::string_view name);

  // Errors: kAlreadyExists (also for soft-deleted ones).
  Result<UserPtr> create_user(User user);
  // Replaces a user's record by what `change` makes of it; bumps updated_at. Errors: kNotFound.
  Result<UserPtr> change_user(std::string_view id, const std::function<void(User&)>& change);

  // Told of every user that was created or changed, once it is visible to readers. Set before users change.
  using UserListener = std::function<void(const UserPtr&)>;
  void set_user_listener(UserListener listener) { user_listener_ = std::move(listener); }

  // A small secret or setting that the server keeps for itself.
  Result<std::optional<std::string>> setting(std::string_view name) const;
  Result<> put_setting(std::string_view name, std::string value);

 private:
  Catalog(storage::Storage& storage, platform::Clock& clock) : storage_(storage), clock_(clock) {}
  Result<> load();
  Result<> bootstrap();
  Result<> put_user(const UserPtr& user);
  void publish(CatalogState next, bool schema_changed);

  storage::Storage& storage_;
  platform::Clock& clock_;
  UserListener user_listener_;
  std::mutex change_mutex_;
  std::atomic<CatalogStatePtr> state_;
  std::atomic<uint64_t> version_{1};
};

}  // namespace kalamdb::catalog
