#include "model/data_type.h"

#include <algorithm>
#include <array>

namespace kalamdb::model {
namespace {

struct Spelling {
  std::string_view name;  // upper case
  TypeTag tag;
};

// Every spelling that CREATE TABLE accepts. The first of each tag is the type's own name.
constexpr std::array kSpellings = {
    Spelling{"BOOLEAN", TypeTag::kBoolean},
    Spelling{"INT", TypeTag::kInt},
    Spelling{"BIGINT", TypeTag::kBigInt},
    Spelling{"DOUBLE", TypeTag::kDouble},
    Spelling{"FLOAT", TypeTag::kFloat},
    Spelling{"TEXT", TypeTag::kText},
    Spelling{"TIMESTAMP", TypeTag::kTimestamp},
    Spelling{"DATE", TypeTag::kDate},
    Spelling{"DATETIME", TypeTag::kDateTime},
    Spelling{"TIME", TypeTag::kTime},
    Spelling{"JSON", TypeTag::kJson},
    Spelling{"BYTES", TypeTag::kBytes},
    Spelling{"EMBEDDING", TypeTag::kEmbedding},
    Spelling{"UUID", TypeTag::kUuid},
    Spelling{"DECIMAL", TypeTag::kDecimal},
    Spelling{"SMALLINT", TypeTag::kSmallInt},
    Spelling{"FILE", TypeTag::kFile},
    Spelling{"BOOL", TypeTag::kBoolean},
    Spelling{"INTEGER", TypeTag::kInt},
    Spelling{"INT4", TypeTag::kInt},
    Spelling{"MEDIUMINT", TypeTag::kInt},
    Spelling{"INT8", TypeTag::kBigInt},
    Spelling{"INT2", TypeTag::kSmallInt},
    Spelling{"TINYINT", TypeTag::kSmallInt},
    Spelling{"DOUBLE PRECISION", TypeTag::kDouble},
    Spelling{"FLOAT8", TypeTag::kDouble},
    Spelling{"REAL", TypeTag::kFloat},
    Spelling{"FLOAT4", TypeTag::kFloat},
    Spelling{"STRING", TypeTag::kText},
    Spelling{"VARCHAR", TypeTag::kText},
    Spelling{"CHAR", TypeTag::kText},
    Spelling{"CHARACTER", TypeTag::kText},
    Spelling{"CHARACTER VARYING", TypeTag::kText},
    Spelling{"CLOB", TypeTag::kText},
    Spelling{"ARRAY", TypeTag::kText},
    Spelling{"ENUM", TypeTag::kText},
    Spelling{"SET", TypeTag::kText},
    Spelling{"STRUCT", TypeTag::kText},
    Spelling{"TIMESTAMP WITHOUT TIME ZONE", TypeTag::kTimestamp},
    Spelling{"TIMESTAMPTZ", TypeTag::kDateTime},
    Spelling{"TIMESTAMP WITH TIME ZONE", TypeTag::kDateTime},
    Spelling{"JSONB", TypeTag::kJson},
    Spelling{"BYTEA", TypeTag::kBytes},
    Spelling{"BLOB", TypeTag::kBytes},
    Spelling{"BINARY", TypeTag::kBytes},
    Spelling{"VARBINARY", TypeTag::kBytes},
    Spelling{"NUMERIC", TypeTag::kDecimal},
};

constexpr std::array<std::string_view, 6> kSerialSpellings = {"SERIAL",  "BIGSERIAL", "SMALLSERIAL",
                                                              "SERIAL2", "SERIAL4",   "SERIAL8"};

// DECIMAL without numbers.
constexpr uint8_t kDefaultDecimalPrecision = 38;
constexpr uint8_t kDefaultDecimalScale = 10;

std::string to_upper(std::string_view text) {
  std::string upper(text);
  std::ranges::transform(upper, upper.begin(), [](char c) { return c >= 'a' && c <= 'z' ? char(c - 'a' + 'A') : c; });
  return upper;
}

Result<DataType> parse_decimal_type(std::optional<int64_t> precision, std::optional<int64_t> scale) {
  if (!precision) return DataType{TypeTag::kDecimal, 0, kDefaultDecimalPrecision, kDefaultDecimalScale};
  if (*precision < 1 || *precision > kMaxDecimalPrecision) {
    return fail(ErrorCode::kInvalidSql, "DECIMAL precision must be from 1 to 38, not " + std::to_string(*precision));
  }
  int64_t digits = scale.value_or(0);
  if (digits < 0 || digits > *precision) {
    return fail(ErrorCode::kInvalidSql, "DECIMAL scale must be from 0 to its precision " + std::to_string(*precision) +
                                            ", not " + std::to_string(digits));
  }
  return DataType{TypeTag::kDecimal, 0, static_cast<uint8_t>(*precision), static_cast<uint8_t>(digits)};
}

Result<DataType> parse_embedding_type(std::optional<int64_t> dimension) {
  if (!dimension) return fail(ErrorCode::kInvalidSql, "EMBEDDING needs a dimension, as in EMBEDDING(384)");
  if (*dimension < 1 || *dimension > kMaxEmbeddingDimension) {
    return fail(ErrorCode::kInvalidSql,
                "EMBEDDING dimension must be from 1 to 8192, not " + std::to_string(*dimension));
  }
  return DataType{TypeTag::kEmbedding, static_cast<uint32_t>(*dimension)};
}

}  // namespace

std::string_view type_name(TypeTag tag) {
  auto found = std::ranges::find(kSpellings, tag, &Spelling::tag);
  return found == kSpellings.end() ? "UNKNOWN" : found->name;
}

std::string sql_name(const DataType& type) {
  std::string name(type_name(type.tag));
  if (type.tag == TypeTag::kEmbedding) return name + "(" + std::to_string(type.dimension) + ")";
  if (type.tag == TypeTag::kDecimal) {
    return name + "(" + std::to_string(type.precision) + ", " + std::to_string(type.scale) + ")";
  }
  return name;
}

Result<DataType> parse_type(std::string_view name, std::optional<int64_t> first_argument,
                            std::optional<int64_t> second_argument) {
  std::string upper = to_upper(name);
  auto found = std::ranges::find(kSpellings, std::string_view(upper), &Spelling::name);
  if (found != kSpellings.end()) {
    if (found->tag == TypeTag::kDecimal) return parse_decimal_type(first_argument, second_argument);
    if (found->tag == TypeTag::kEmbedding) return parse_embedding_type(first_argument);
    return DataType{found->tag};
  }
  if (upper.starts_with("U") && upper.ends_with("INT")) upper = "UNSIGNED";
  if (upper.find("UNSIGNED") != std::string::npos) {
    return fail(ErrorCode::kInvalidSql,
                "Unsigned column type '" + std::string(name) + "' is not supported; use BIGINT or DECIMAL");
  }
  return fail(ErrorCode::kInvalidSql, "Unsupported column type '" + std::string(name) + "'");
}

bool is_serial_type(std::string_view name) {
  return std::ranges::find(kSerialSpellings, to_upper(name)) != kSerialSpellings.end();
}

bool is_integer(TypeTag tag) { return tag == TypeTag::kSmallInt || tag == TypeTag::kInt || tag == TypeTag::kBigInt; }

bool is_text_like(TypeTag tag) { return tag == TypeTag::kText || tag == TypeTag::kJson || tag == TypeTag::kFile; }

}  // namespace kalamdb::model
