// gzip, as binary WebSocket frames carry it.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace kalamdb::cli {

// The unpacked bytes. kCorruption for what is not gzip, kResultTooLarge past `max_bytes`.
Result<std::string> gunzip(std::string_view packed, size_t max_bytes);

}  // namespace kalamdb::cli
