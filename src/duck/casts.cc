#include "duck/casts.h"

#include <optional>
#include <string_view>

#include "duck/types.h"
#include "duckdb/common/exception/conversion_exception.hpp"
#include "duckdb/common/types/timestamp.hpp"
#include "duckdb/common/vector_operations/unary_executor.hpp"
#include "duckdb/function/cast/cast_function_set.hpp"
#include "duckdb/function/cast_rules.hpp"
#include "model/calendar.h"

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

// The bytes of '\xDEADBEEF', else those of the text with each \xDE in it as one byte; nullopt for another backslash.
std::optional<std::string> bytes_of(std::string_view text) {
  if (text.starts_with("\\x")) {
    if (auto bytes = model::parse_hex(text.substr(2))) return bytes;
  }
  std::string bytes;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      bytes.push_back(text[i]);
      continue;
    }
    const auto escaped = text.substr(i).starts_with("\\x") ? model::parse_hex(text.substr(i + 2, 2)) : std::nullopt;
    if (!escaped || escaped->size() != 1) return std::nullopt;
    bytes += *escaped;
    i += 3;
  }
  return bytes;
}

bool text_to_bytes(duckdb::Vector& source, duckdb::Vector& result, idx_t count, CastParameters& parameters) {
  return cast_texts<string_t>(source, result, count, [&](string_t text, string_t& value) {
    if (const auto bytes = bytes_of({text.GetData(), text.GetSize()})) {
      value = duckdb::StringVector::AddStringOrBlob(result, bytes->data(), bytes->size());
      return true;
    }
    report("Could not convert string '" + text.GetString() +
               "' to BLOB: a backslash begins \\x and two hexadecimal digits",
           parameters);
    return false;
  });
}

bool text_to_boolean(duckdb::Vector& source, duckdb::Vector& result, idx_t count, CastParameters& parameters) {
  return cast_texts<bool>(source, result, count, [&](string_t text, bool& value) {
    const auto flag = model::coerce(std::string_view(text.GetData(), text.GetSize()), {model::TypeTag::kBoolean});
    if (flag) {
      value = std::get<bool>(*flag);
      return true;
    }
    report("Could not convert string '" + text.GetString() + "' to BOOL", parameters);
    return false;
  });
}

bool text_to_uuid(duckdb::Vector& source, duckdb::Vector& result, idx_t count, CastParameters& parameters) {
  return cast_texts<duckdb::hugeint_t>(source, result, count, [&](string_t text, duckdb::hugeint_t& value) {
    const auto uuid = model::parse_uuid({text.GetData(), text.GetSize()});
    if (uuid) {
      value = from_uuid(*uuid);
      return true;
    }
    report("Could not convert string '" + text.GetString() + "' to UUID", parameters);
    return false;
  });
}

// Dates and times of the number that stores and shows them, as clients send them back.
template <typename Source, typename Target>
bool number_to_time(duckdb::Vector& source, duckdb::Vector& result, idx_t count, CastParameters& parameters) {
  const bool is_date = std::is_same_v<Target, duckdb::date_t>;
  const bool is_time = std::is_same_v<Target, duckdb::dtime_t>;
  const int64_t low = is_time ? 0 : is_date ? model::kMinDate : model::kMinTimestamp;
  const int64_t high = is_time ? model::kMicrosPerDay - 1 : is_date ? model::kMaxDate : model::kMaxTimestamp;
  bool all = true;
  duckdb::UnaryExecutor::ExecuteWithNulls<Source, Target>(
      source, result, count, [&](Source number, duckdb::ValidityMask& mask, idx_t row) {
        if (number >= low && number <= high) return Target(number);
        report("Value " + std::to_string(number) + " is out of range for " + result.GetType().ToString(), parameters);
        all = false;
        mask.SetInvalid(row);
        return Target();
      });
  return all;
}

// Canonical, and what text_to_bytes() reads back whatever the bytes are.
bool bytes_to_text(duckdb::Vector& source, duckdb::Vector& result, idx_t count, CastParameters&) {
  duckdb::UnaryExecutor::Execute<string_t, string_t>(source, result, count, [&](string_t bytes) {
    const std::string_view view(bytes.GetData(), bytes.GetSize());
    return duckdb::StringVector::AddString(result, model::to_text(view, {.tag = model::TypeTag::kBytes}));
  });
  return true;
}

// A parameter that is an array of numbers is a list of FLOAT: BYTES and UUIDs compare with it byte by byte.
template <typename Source>
bool bytes_to_numbers(duckdb::Vector& source, duckdb::Vector& result, idx_t count, CastParameters&) {
  duckdb::UnaryExecutor::Execute<Source, duckdb::list_entry_t>(source, result, count, [&](Source value) {
    duckdb::list_entry_t entry(duckdb::ListVector::GetListSize(result), 0);
    const auto add = [&](auto bytes) {
      for (const auto byte : bytes) {
        duckdb::ListVector::PushBack(result, duckdb::Value::FLOAT(static_cast<unsigned char>(byte)));
        ++entry.length;
      }
    };
    if constexpr (std::is_same_v<Source, string_t>) {
      add(std::string_view(value.GetData(), value.GetSize()));
    } else {
      add(to_uuid(value));
    }
    return entry;
  });
  return true;
}

}  // namespace

void register_casts(duckdb::DBConfig& config) {
  auto& casts = config.GetCastFunctions();
  const auto replace = [&](const LogicalType& source, const LogicalType& target, duckdb::cast_function_t cast) {
    // What is cast without being asked stays the same.
    const int64_t implicit_cost = duckdb::CastRules::ImplicitCast(source, target);
    casts.RegisterCastFunction(source, target, duckdb::BoundCastInfo(cast), implicit_cost);
  };
  replace(LogicalType::VARCHAR, LogicalType::TIMESTAMP, text_to_timestamp);
  replace(LogicalType::VARCHAR, LogicalType::BLOB, text_to_bytes);
  replace(LogicalType::VARCHAR, LogicalType::BOOLEAN, text_to_boolean);
  replace(LogicalType::VARCHAR, LogicalType::UUID, text_to_uuid);
  replace(LogicalType::BLOB, LogicalType::VARCHAR, bytes_to_text);
  const auto numbers = LogicalType::LIST(LogicalType::FLOAT);
  replace(LogicalType::BLOB, numbers, bytes_to_numbers<string_t>);
  replace(LogicalType::UUID, numbers, bytes_to_numbers<duckdb::hugeint_t>);
  const auto from_numbers = [&]<typename Source>(const LogicalType& source, Source) {
    replace(source, LogicalType::TIMESTAMP, number_to_time<Source, timestamp_t>);
    replace(source, LogicalType::TIMESTAMP_TZ, number_to_time<Source, duckdb::timestamp_tz_t>);
    replace(source, LogicalType::DATE, number_to_time<Source, duckdb::date_t>);
    replace(source, LogicalType::TIME, number_to_time<Source, duckdb::dtime_t>);
  };
  from_numbers(LogicalType::INTEGER, int32_t{});
  from_numbers(LogicalType::BIGINT, int64_t{});
}

}  // namespace kalamdb::duck
