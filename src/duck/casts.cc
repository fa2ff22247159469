#include "duck/casts.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <string_view>

#include "duckdb/common/exception/conversion_exception.hpp"
#include "duckdb/common/types/blob.hpp"
#include "duckdb/common/types/timestamp.hpp"
#include "duckdb/common/vector_operations/unary_executor.hpp"
#include "duckdb/function/cast/cast_function_set.hpp"
#include "duckdb/function/cast_rules.hpp"

namespace kalamdb::duck {

using duckdb::CastParameters;
using duckdb::idx_t;
using duckdb::LogicalType;
using duckdb::string_t;
using duckdb::timestamp_t;

namespace {

// As DuckDB's own casts do it: CAST throws, TRY_CAST gets a place for the first message.
void report(const std::string& message, CastParameters& parameters) {
  if (parameters.error_message == nullptr) throw duckdb::ConversionException(parameters.query_location, message);
  if (parameters.error_message->empty()) *parameters.error_message = message;
}

// False when a text was no value; that row is NULL then. `convert` reports why.
template <typename Target, typename Convert>
bool cast_texts(duckdb::Vector& source, duckdb::Vector& result, idx_t count, Convert convert) {
  bool all = true;
  duckdb::UnaryExecutor::ExecuteWithNulls<string_t, Target>(source, result, count,
                                                            [&](string_t text, duckdb::ValidityMask& mask, idx_t row) {
                                                              Target value{};
                                                              if (!convert(text, value)) {
                                                                all = false;
                                                                mask.SetInvalid(row);
                                                              }
                                                              return value;
                                                            });
  return all;
}

bool text_to_timestamp(duckdb::Vector& source, duckdb::Vector& result, idx_t count, CastParameters& parameters) {
  return cast_texts<timestamp_t>(source, result, count, [&](string_t text, timestamp_t& value) {
    constexpr bool kUseOffset = true;
    const auto parsed = duckdb::Timestamp::TryConvertTimestamp(text.GetData(), text.GetSize(), value, kUseOffset);
    if (parsed == duckdb::TimestampCastResult::SUCCESS) return true;
    report(duckdb::Timestamp::FormatError(text), parameters);
    return false;
  });
}

// \x and then nothing but pairs of hexadecimal digits, more than one of them: a single one means the same to both.
bool is_hexadecimal(std::string_view text) {
  return text.size() > 4 && text.size() % 2 == 0 && text.starts_with("\\x") &&
         std::ranges::all_of(text.substr(2), [](unsigned char c) { return std::isxdigit(c) != 0; });
}

string_t decode_hexadecimal(std::string_view text, duckdb::Vector& result) {
  string_t value = duckdb::StringVector::EmptyString(result, text.size() / 2 - 1);
  char* out = value.GetDataWriteable();
  for (size_t i = 2; i < text.size(); i += 2) {
    uint8_t byte = 0;
    std::from_chars(text.data() + i, text.data() + i + 2, byte, 16);
    *out++ = static_cast<char>(byte);
  }
  value.Finalize();
  return value;
}

bool text_to_bytes(duckdb::Vector& source, duckdb::Vector& result, idx_t count, CastParameters& parameters) {
  return cast_texts<string_t>(source, result, count, [&](string_t text, string_t& value) {
    const std::string_view view(text.GetData(), text.GetSize());
    if (is_hexadecimal(view)) {
      value = decode_hexadecimal(view, result);
      return true;
    }
    idx_t size = 0;
    if (!duckdb::Blob::TryGetBlobSize(text, size, parameters)) return false;
    value = duckdb::StringVector::EmptyString(result, size);
    duckdb::Blob::ToBlob(text, reinterpret_cast<duckdb::data_ptr_t>(value.GetDataWriteable()));
    value.Finalize();
    return true;
  });
}

}  // namespace

void register_casts(duckdb::DBConfig& config) {
  auto& casts = config.GetCastFunctions();
  const auto replace = [&](const LogicalType& target, duckdb::cast_function_t cast) {
    // What is cast without being asked stays the same.
    const int64_t implicit_cost = duckdb::CastRules::ImplicitCast(LogicalType::VARCHAR, target);
    casts.RegisterCastFunction(LogicalType::VARCHAR, target, duckdb::BoundCastInfo(cast), implicit_cost);
  };
  replace(LogicalType::TIMESTAMP, text_to_timestamp);
  replace(LogicalType::BLOB, text_to_bytes);
}

}  // namespace kalamdb::duck
