// MessagePack (https://github.com/msgpack/msgpack/blob/master/spec.md) as another form of JSON.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace kalamdb::protocol {

// Members keep their order. Empty for what is no JSON.
std::string to_msgpack(std::string_view json);

// Errors: kInvalidInput for what is no MessagePack, or is nested deeper than any message of a client.
Result<std::string> msgpack_to_json(std::string_view bytes);

}  // namespace kalamdb::protocol
