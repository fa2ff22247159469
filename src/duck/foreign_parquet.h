// Parquet files that others wrote. For the other files of this folder only.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "duck/session.h"

namespace kalamdb::duck {

// A connection of its own: what a file breaks is nobody else's.
using OpenSession = std::function<Result<std::unique_ptr<Session>>()>;

// See Engine::parquet_columns().
Result<std::vector<ResultColumn>> foreign_columns(const OpenSession& open, std::span<const std::string> paths);

// See Engine::read_parquet().
Result<std::unique_ptr<QueryResult>> read_foreign(const OpenSession& open, std::span<const std::string> paths,
                                                  std::span<const std::string> columns, size_t key_columns);

}  // namespace kalamdb::duck
