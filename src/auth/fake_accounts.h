// Accounts in memory, for tests.
#pragma once

#include <map>
#include <mutex>
#include <utility>

#include "auth/accounts.h"

namespace kalamdb::auth {

class FakeAccounts final : public Accounts {
 public:
  catalog::UserPtr find(std::string_view id) const override {
    const std::scoped_lock lock(mutex_);
    const auto found = users_.find(id);
    return found == users_.end() ? nullptr : found->second;
  }
  Result<catalog::UserPtr> change(std::string_view id, const std::function<void(catalog::User&)>& change) override {
    const std::scoped_lock lock(mutex_);
    const auto found = users_.find(id);
    if (found == users_.end()) return fail(ErrorCode::kNotFound, "User not found");
    catalog::User next = *found->second;
    change(next);
    return found->second = std::make_shared<const catalog::User>(std::move(next));
  }
  Result<catalog::UserPtr> create(catalog::User user) override {
    const std::scoped_lock lock(mutex_);
    auto kept = std::make_shared<const catalog::User>(std::move(user));
    const auto [place, inserted] = users_.emplace(kept->id, kept);
    if (!inserted) return fail(ErrorCode::kAlreadyExists, "User already exists");
    return kept;
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::string, catalog::UserPtr, std::less<>> users_;
};

}  // namespace kalamdb::auth
