// Records of this folder end with the XXH3 checksum of what is before it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace kalamdb::cold {

void append_checksum(std::string& record);
// The record without its checksum; nullopt if that does not fit.
std::optional<std::string_view> check_and_strip(std::string_view record);

}  // namespace kalamdb::cold
