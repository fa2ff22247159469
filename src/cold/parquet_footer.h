// What the footer of a Parquet file says, read without its rows: the Thrift compact protocol of `FileMetaData`, of
// which the format's specification tells (https://github.com/apache/parquet-format). The files may be anybody's.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "base/result.h"
#include "cold/object_store.h"

namespace kalamdb::cold {

struct ParquetFooter {
  uint64_t row_count = 0;
  std::map<std::string, std::string> metadata;  // the key-value metadata; of a key that is there twice the first

  // The value of a key; "" where there is none.
  std::string value(const std::string& key) const;
};

// Reads the footer of a file that has `size_bytes`. Errors: kCorruption with the file's name when it is no Parquet file
// or is cut; those of ObjectStore.
Result<ParquetFooter> read_parquet_footer(ObjectStore& objects, const std::string& name, uint64_t size_bytes);

// The bytes of a `FileMetaData`. Errors: kCorruption.
Result<ParquetFooter> parse_parquet_footer(std::string_view bytes);

}  // namespace kalamdb::cold
