// The user records that authentication reads and changes: the catalog's, or a test's.
#pragma once

#include <functional>
#include <string_view>

#include "base/result.h"
#include "catalog/user.h"

namespace kalamdb::catalog {
class Catalog;
}

namespace kalamdb::auth {

// Thread-safe.
class Accounts {
 public:
  virtual ~Accounts() = default;
  // Soft-deleted ones too; nullptr where there is none. Never blocks.
  virtual catalog::UserPtr find(std::string_view id) const = 0;
  // Replaces the record durably by what `change` makes of it. Errors: kNotFound and those of the storage.
  virtual Result<catalog::UserPtr> change(std::string_view id, const std::function<void(catalog::User&)>& change) = 0;
  // Errors: kAlreadyExists and those of the storage.
  virtual Result<catalog::UserPtr> create(catalog::User user) = 0;
};

class CatalogAccounts final : public Accounts {
 public:
  // `catalog` must outlive it.
  explicit CatalogAccounts(catalog::Catalog& catalog) : catalog_(catalog) {}
  catalog::UserPtr find(std::string_view id) const override;
  Result<catalog::UserPtr> change(std::string_view id, const std::function<void(catalog::User&)>& change) override;
  Result<catalog::UserPtr> create(catalog::User user) override;

 private:
  catalog::Catalog& catalog_;
};

}  // namespace kalamdb::auth
