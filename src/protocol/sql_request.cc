#include "protocol/sql_request.h"

#include <cmath>
#include <limits>

#include "protocol/json_reader.h"

namespace kalamdb::protocol {
namespace {

using simdjson::dom::element;
using simdjson::dom::element_type;

std::unexpected<Error> invalid_json(const std::string& reason) {
  return fail(ErrorCode::kInvalidInput, "Invalid JSON payload: " + reason);
}

std::unexpected<Error> invalid_parameter(size_t number, std::string_view reason) {
  return fail(ErrorCode::kInvalidParameter,
              "Parameter $" + std::to_string(number) + " invalid: " + std::string(reason));
}

// The numbers of an array as floats; nullopt if it holds anything else, or a number that a float can't hold exactly:
// its text loses nothing, and every type that takes an array takes its text too.
std::optional<std::vector<float>> as_floats(simdjson::dom::array array) {
  std::vector<float> numbers;
  numbers.reserve(array.size());
  for (const element item : array) {
    double number = 0;
    if (item.type() == element_type::INT64) {
      constexpr int64_t kLargestExactInteger = 1 << 24;
      if (std::abs(int64_t{item}) > kLargestExactInteger) return std::nullopt;
      number = static_cast<double>(int64_t{item});
    } else if (item.type() == element_type::DOUBLE) {
      number = double{item};
      if (std::abs(number) > static_cast<double>(std::numeric_limits<float>::max())) return std::nullopt;
      if (static_cast<double>(static_cast<float>(number)) != number) return std::nullopt;
    } else {
      return std::nullopt;
    }
    numbers.push_back(static_cast<float>(number));
  }
  return numbers;
}

Result<model::Value> to_parameter(element item, size_t number) {
  switch (item.type()) {
    case element_type::NULL_VALUE:
      return model::Null{};
    case element_type::BOOL:
      return bool{item};
    case element_type::INT64:
      return int64_t{item};
    case element_type::UINT64:
      return invalid_parameter(number, "an integer of more than 64 bits with sign must be sent as a string");
    case element_type::DOUBLE:
      return double{item};
    case element_type::STRING:
      return std::string(std::string_view{item});
    case element_type::ARRAY:
      if (auto numbers = as_floats(simdjson::dom::array(item))) return *std::move(numbers);
      return simdjson::minify(item);
    case element_type::OBJECT:
      return simdjson::minify(item);
  }
  return invalid_parameter(number, "it is no JSON value");
}

Result<std::vector<model::Value>> to_parameters(simdjson::dom::array array) {
  std::vector<model::Value> params;
  params.reserve(array.size());
  for (const element item : array) {
    KALAM_TRY(params.emplace_back(), to_parameter(item, params.size() + 1));
  }
  return params;
}

size_t size_bytes(const model::Value& value) {
  if (const auto* text = std::get_if<std::string>(&value)) return text->size();
  if (const auto* numbers = std::get_if<std::vector<float>>(&value)) return numbers->size() * sizeof(float);
  return sizeof(int64_t);
}

}  // namespace

Result<SqlRequest> parse_sql_request(const std::string& body, size_t max_nesting) {
  const auto parsed = parse_json(body, max_nesting);
  if (!parsed) return invalid_json(parsed.error().message);
  simdjson::dom::object root;
  if (parsed->get(root) != simdjson::SUCCESS) return invalid_json("it must be an object");
  SqlRequest request;
  std::optional<std::string> sql;
  std::optional<element> params;
  for (const auto& [name, value] : root) {
    Result<> read;
    if (name == "sql") {
      read = read_string(name, value, sql);
    } else if (name == "namespace_id") {
      read = read_nullable_string(name, value, request.namespace_id);
    } else if (name == "params") {
      if (params) return invalid_json("duplicate field `params`");
      params = value;
    }
    if (!read) return invalid_json(read.error().message);
  }
  if (!sql) return invalid_json("missing field `sql`");
  request.sql = *std::move(sql);
  if (params && !params->is_null()) {
    simdjson::dom::array array;
    if (params->get(array) != simdjson::SUCCESS) return invalid_json("`params` must be an array");
    KALAM_TRY(request.params, to_parameters(array));
  }
  return request;
}

Result<std::vector<model::Value>> parse_params(std::string_view json, size_t max_nesting) {
  const auto parsed = parse_json(json, 0, max_nesting);
  if (!parsed) return fail(ErrorCode::kInvalidParameter, "Invalid params JSON: " + parsed.error().message);
  simdjson::dom::array array;
  if (parsed->get(array) != simdjson::SUCCESS) {
    return fail(ErrorCode::kInvalidParameter, "Params must be a JSON array");
  }
  return to_parameters(array);
}

Result<> check_params(const std::vector<model::Value>& params, size_t max_parameters, size_t max_parameter_bytes) {
  if (params.size() > max_parameters) {
    return fail(ErrorCode::kParamCountExceeded, "Parameter count exceeded: maximum " + std::to_string(max_parameters) +
                                                    " parameters allowed, got " + std::to_string(params.size()));
  }
  for (size_t i = 0; i < params.size(); ++i) {
    const size_t bytes = size_bytes(params[i]);
    if (bytes > max_parameter_bytes) {
      return fail(ErrorCode::kParamSizeExceeded, "Parameter size exceeded: parameter at index " + std::to_string(i) +
                                                     " is " + std::to_string(bytes) + " bytes (max " +
                                                     std::to_string(max_parameter_bytes) + " bytes)");
    }
  }
  return {};
}

}  // namespace kalamdb::protocol
