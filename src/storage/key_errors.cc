#include "storage/key_errors.h"

#include "model/key_codec.h"

namespace kalamdb::storage {
namespace {

std::string violation(const model::TableDefinition& table, std::string_view key) {
  return "Primary key violation: value '" + model::key_to_text(table, key) + "' ";
}

// "id", or "room, n" for a key of several columns.
std::string key_columns(const model::TableDefinition& table) {
  std::string columns;
  for (const auto* column : table.primary_key()) {
    if (!columns.empty()) columns += ", ";
    columns += column->name;
  }
  return columns;
}

}  // namespace

Error key_taken(const model::TableDefinition& table, std::string_view key, std::string_view where) {
  return {ErrorCode::kAlreadyExists,
          violation(table, key) + "already exists in column '" + key_columns(table) + "' (" + std::string(where) + ")"};
}

Error repeated_key(const model::TableDefinition& table, std::string_view key) {
  return {ErrorCode::kAlreadyExists,
          violation(table, key) + "appears multiple times in the insert batch for column '" + key_columns(table) + "'"};
}

}  // namespace kalamdb::storage
