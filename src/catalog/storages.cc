// CREATE, ALTER and DROP STORAGE.
#include <algorithm>
#include <utility>

#include "catalog/catalog.h"

namespace kalamdb::catalog {

using cold::StorageDefinition;
using hot::RecordSpace;
using storage::CommitRequest;
using storage::RegisteredStoragePtr;

namespace {

bool is_within(const std::string& inner, const std::string& outer) {
  return inner == outer || inner.starts_with(outer + "/");
}

// Two storages that share files would take each other's for garbage.
bool overlap(const StorageDefinition& a, const StorageDefinition& b) {
  if (a.type != b.type) return false;
  if (a.type == cold::StorageType::kS3) {
    const auto a_config = cold::parse_s3_config(a.config);
    const auto b_config = cold::parse_s3_config(b.config);
    if (a_config && b_config && a_config->endpoint != b_config->endpoint) return false;
  }
  return is_within(a.base, b.base) || is_within(b.base, a.base);
}

std::unexpected<Error> not_found(std::string_view id) {
  return fail(ErrorCode::kNotFound, "Storage '" + std::string(id) + "' not found");
}

}  // namespace

Result<> Catalog::check_storage(const std::string& id) const {
  if (id.empty() || storage_.storages().find(id) != nullptr) return {};
  return fail(ErrorCode::kNotFound, "Storage '" + id + "' does not exist");
}

Result<> Catalog::put_storage(StorageDefinition definition) {
  CommitRequest request;
  request.records.push_back({RecordSpace::kStorage, definition.id, encode(definition), std::nullopt});
  auto connected = storage_.storages().connect(std::move(definition));
  return commit(std::move(request), [&] { storage_.storages().put(std::move(connected)); });
}

Result<> Catalog::check_new_storage(const StorageDefinition& definition) const {
  for (const auto& other : storage_.storages().list()) {
    if (other->definition.id == definition.id) {
      return fail(ErrorCode::kAlreadyExists, "Storage '" + definition.id + "' already exists");
    }
    if (overlap(definition, other->definition)) {
      return fail(ErrorCode::kInvalidOperation, "Storage '" + definition.id + "' would share files with storage '" +
                                                    other->definition.id + "'; give it a place of its own");
    }
  }
  return {};
}

Result<> Catalog::create_storage(StorageDefinition definition) {
  const std::lock_guard lock(change_mutex_);
  KALAM_CHECK(check_new_storage(definition));
  definition.created_at_us = definition.updated_at_us = clock_.now_us();
  return put_storage(std::move(definition));
}

Result<> Catalog::alter_storage(std::string_view id, const std::function<Result<>(StorageDefinition&)>& change) {
  const std::lock_guard lock(change_mutex_);
  const auto current = storage_.storages().find(id);
  if (current == nullptr) return not_found(id);
  StorageDefinition next = current->definition;
  KALAM_CHECK(change(next));
  next.updated_at_us = clock_.now_us();
  return put_storage(std::move(next));
}

Result<> Catalog::drop_storage(std::string_view id) {
  const std::lock_guard lock(change_mutex_);
  if (id == cold::kLocalStorage) {
    return fail(ErrorCode::kInvalidOperation, "Storage 'local' cannot be dropped: there is always one");
  }
  if (storage_.storages().find(id) == nullptr) return not_found(id);
  const std::string name(id);
  KALAM_TRY(const auto tables, registry_.list(""));
  const auto count = std::ranges::count_if(
      tables, [&](const auto& table) { return !table->is_view() && table->options.storage_id == name; });
  if (count > 0) {
    return fail(ErrorCode::kInvalidOperation,
                "Cannot drop storage '" + name + "': " + std::to_string(count) + " table(s) still using it");
  }
  const auto users = std::ranges::count_if(state()->users, [&](const auto& user) {
    return user.second->storage_id == name && user.second->deleted_at_us == 0;
  });
  if (users > 0) {
    return fail(ErrorCode::kInvalidOperation,
                "Cannot drop storage '" + name + "': " + std::to_string(users) + " user(s) still using it");
  }
  KALAM_TRY(const auto scopes, storage_.scopes_in(id));
  if (scopes > 0) {
    return fail(ErrorCode::kInvalidOperation, "Cannot drop storage '" + name + "': rows of " + std::to_string(scopes) +
                                                  " table(s) or users still lie in it; OPTIMIZE TABLE moves them");
  }
  CommitRequest request;
  request.records.push_back({RecordSpace::kStorage, name, std::nullopt, std::nullopt});
  return commit(std::move(request), [&] { storage_.storages().erase(id); });
}

}  // namespace kalamdb::catalog
