#include "auth/accounts.h"

#include "catalog/catalog.h"

namespace kalamdb::auth {

catalog::UserPtr CatalogAccounts::find(std::string_view id) const { return catalog_.find_user(id); }

Result<catalog::UserPtr> CatalogAccounts::change(std::string_view id,
                                                 const std::function<void(catalog::User&)>& change) {
  return catalog_.change_user(id, change);
}

Result<catalog::UserPtr> CatalogAccounts::create(catalog::User user) { return catalog_.create_user(std::move(user)); }

}  // namespace kalamdb::auth
