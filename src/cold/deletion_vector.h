// Deletion vectors as they are stored, one record for each segment that has one:
//
//   [_seq i64 of the commit that wrote it][Roaring bitmap, portable serialisation][XXH3 of everything before, u64]
//
// Numbers are little-endian. The `_seq` tells versions apart without decoding them.
#pragma once

#include <string>
#include <string_view>

#include "base/ids.h"
#include "base/position_set.h"
#include "base/result.h"

namespace kalamdb::cold {

std::string encode_deletions(Seq written_at, const PositionSet& positions);
// Errors: kCorruption.
Result<PositionSet> decode_deletions(std::string_view record);
// Which version a record is. Errors: kCorruption.
Result<Seq> deletions_version(std::string_view record);

}  // namespace kalamdb::cold
