// Random types and values of them, extremes included, for property tests.
#pragma once

#include <limits>
#include <random>

#include "model/calendar.h"
#include "model/decimal.h"
#include "model/value.h"

namespace kalamdb::model {

// One type of each tag.
inline std::vector<DataType> all_types() {
  std::vector<DataType> types;
  for (uint8_t tag = 1; tag <= static_cast<uint8_t>(TypeTag::kFile); ++tag)
    types.push_back({static_cast<TypeTag>(tag)});
  for (DataType& type : types) {
    if (type.tag == TypeTag::kEmbedding) type.dimension = 3;
    if (type.tag == TypeTag::kDecimal) type = {TypeTag::kDecimal, 0, 38, 4};
  }
  return types;
}

// Uniform over the range, with its ends and the values around zero more often than chance would have them.
inline int64_t random_integer(std::mt19937_64& random, int64_t low, int64_t high) {
  switch (random() % 8) {
    case 0:
      return low;
    case 1:
      return high;
    case 2:
      return std::clamp<int64_t>(static_cast<int64_t>(random() % 5) - 2, low, high);
    default:
      return std::uniform_int_distribution<int64_t>(low, high)(random);
  }
}

template <typename Float>
Float random_float(std::mt19937_64& random) {
  using Limits = std::numeric_limits<Float>;
  constexpr Float kSpecial[] = {0,
                                -Float{0},
                                Limits::infinity(),
                                -Limits::infinity(),
                                Limits::quiet_NaN(),
                                Limits::min(),
                                Limits::denorm_min(),
                                Limits::max(),
                                Limits::lowest()};
  if (random() % 4 == 0) return kSpecial[random() % std::size(kSpecial)];
  return std::normal_distribution<Float>(0, Float(1000))(random);
}

inline std::string random_text(std::mt19937_64& random) {
  std::string text;
  // Few letters, NUL among them, so that texts often share prefixes.
  for (size_t length = random() % 6; length > 0; --length) text.push_back("\0\1ab~"[random() % 5]);
  return text;
}

inline Value random_value(std::mt19937_64& random, const DataType& type) {
  switch (type.tag) {
    case TypeTag::kBoolean:
      return random() % 2 == 0;
    case TypeTag::kSmallInt:
      return random_integer(random, std::numeric_limits<int16_t>::min(), std::numeric_limits<int16_t>::max());
    case TypeTag::kInt:
      return random_integer(random, std::numeric_limits<int32_t>::min(), std::numeric_limits<int32_t>::max());
    case TypeTag::kBigInt:
      return random_integer(random, std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max());
    case TypeTag::kDate:
      return random_integer(random, kMinDate, kMaxDate);
    case TypeTag::kTime:
      return random_integer(random, 0, kMicrosPerDay - 1);
    case TypeTag::kTimestamp:
    case TypeTag::kDateTime:
      return random_integer(random, kMinTimestamp, kMaxTimestamp);
    case TypeTag::kFloat:
      return random_float<float>(random);
    case TypeTag::kDouble:
      return random_float<double>(random);
    case TypeTag::kText:
    case TypeTag::kBytes:
      return random_text(random);
    case TypeTag::kJson:
      return "[" + std::to_string(random() % 1000) + "]";
    case TypeTag::kFile:
      return "{\"id\":\"" + std::to_string(random() % 1000) + "\"}";
    case TypeTag::kUuid: {
      Uuid uuid;
      for (uint8_t& byte : uuid) byte = static_cast<uint8_t>(random());
      return uuid;
    }
    case TypeTag::kDecimal: {
      Int128 bound = power_of_ten(type.precision) - 1;
      switch (random() % 4) {
        case 0:
          return Decimal{bound};
        case 1:
          return Decimal{-bound};
        default:
          return Decimal{static_cast<Int128>(static_cast<int64_t>(random())) * static_cast<int64_t>(random() % 1000) %
                         bound};
      }
    }
    case TypeTag::kEmbedding: {
      std::vector<float> vector(type.dimension);
      for (float& element : vector) element = std::normal_distribution<float>()(random);
      return vector;
    }
  }
  return Null{};
}

}  // namespace kalamdb::model
