// PARTITION BY: which part of a row's key says in whose segments it lies.
#pragma once

#include <string_view>
#include <vector>

#include "model/key_codec.h"
#include "model/table.h"

namespace kalamdb::storage {

// `table` must outlive it.
class Partitions {
 public:
  explicit Partitions(const model::TableDefinition& table) {
    for (const auto* column : table.primary_key()) {
      if (column->partition_key) columns_.push_back(column);
    }
  }
  // Empty for all rows of a table without partitions. The columns of PARTITION BY lead the key.
  std::string_view of(std::string_view key) const {
    std::string_view rest = key;
    for (const auto* column : columns_) {
      if (!model::read_key(rest, column->type)) break;
    }
    return key.substr(0, key.size() - rest.size());
  }

 private:
  std::vector<const model::ColumnDefinition*> columns_;
};

}  // namespace kalamdb::storage
