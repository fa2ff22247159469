#include "cold/deletion_vector.h"

#include "base/bytes.h"
#include "cold/checksum.h"

namespace kalamdb::cold {

std::string encode_deletions(Seq written_at, const PositionSet& positions) {
  std::string record;
  append_little_endian<int64_t>(record, written_at);
  record.append(positions.encode());
  append_checksum(record);
  return record;
}

Result<PositionSet> decode_deletions(std::string_view record) {
  const auto body = check_and_strip(record);
  if (!body || body->size() < sizeof(Seq)) return fail(ErrorCode::kCorruption, "A stored deletion vector is damaged");
  return PositionSet::decode(body->substr(sizeof(Seq)));
}

Result<Seq> deletions_version(std::string_view record) {
  if (record.size() < sizeof(Seq)) return fail(ErrorCode::kCorruption, "A stored deletion vector is damaged");
  return read_little_endian<Seq>(record.data());
}

}  // namespace kalamdb::cold
