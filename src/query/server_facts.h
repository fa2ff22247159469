// What the server tells of itself in system tables: how it was configured, and what only the layers above know.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace kalamdb::query {

struct SettingValue {
  std::string name;   // "server.port"
  std::string value;  // secrets are ***
  std::string description;
};

class LiveQueries;  // query/live_queries.h

struct ServerFacts {
  int64_t started_at_us = 0;
  std::string version;
  int64_t node_number = 1;
  std::string data_directory;  // absolute
  std::vector<SettingValue> settings;
  LiveQueries* live_queries = nullptr;  // it outlives every statement
  // Rows of system.stats that the server adds: names and values as they are now. Called from any thread.
  std::function<std::vector<std::pair<std::string, std::string>>()> counters;
};

}  // namespace kalamdb::query
