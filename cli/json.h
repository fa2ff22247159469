// Members of parsed JSON, with a default where one is missing or of another type. What they give borrows from the
// parser.
#pragma once

#include <simdjson.h>

#include <cstdint>
#include <string_view>
#include <vector>

namespace kalamdb::cli {

inline std::string_view text_member(simdjson::dom::element object, std::string_view name) {
  std::string_view text;
  return object[name].get(text) == simdjson::SUCCESS ? text : std::string_view();
}

inline int64_t int_member(simdjson::dom::element object, std::string_view name) {
  int64_t value = 0;
  return object[name].get(value) == simdjson::SUCCESS ? value : 0;
}

inline bool bool_member(simdjson::dom::element object, std::string_view name) {
  bool value = false;
  return object[name].get(value) == simdjson::SUCCESS && value;
}

inline std::vector<simdjson::dom::element> array_member(simdjson::dom::element object, std::string_view name) {
  simdjson::dom::array array;
  if (object[name].get(array) != simdjson::SUCCESS) return {};
  return {array.begin(), array.end()};
}

}  // namespace kalamdb::cli
