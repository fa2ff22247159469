#include "cold/checksum.h"

#include <xxhash.h>

#include "base/bytes.h"

namespace kalamdb::cold {

void append_checksum(std::string& record) {
  append_little_endian<uint64_t>(record, XXH3_64bits(record.data(), record.size()));
}

std::optional<std::string_view> check_and_strip(std::string_view record) {
  if (record.size() < sizeof(uint64_t)) return std::nullopt;
  const std::string_view body = record.substr(0, record.size() - sizeof(uint64_t));
  if (read_little_endian<uint64_t>(body.data() + body.size()) != XXH3_64bits(body.data(), body.size())) {
    return std::nullopt;
  }
  return body;
}

}  // namespace kalamdb::cold
