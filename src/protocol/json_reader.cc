#include "protocol/json_reader.h"

#include <charconv>

namespace kalamdb::protocol {
namespace {

// A parser keeps several times the size of the largest text it has seen; past this it is not worth keeping.
constexpr size_t kLargestKeptCapacity = 1 << 20;

struct ThreadParser {
  std::optional<simdjson::dom::parser> parser;
  size_t max_nesting = 0;
};

}  // namespace

Result<simdjson::dom::element> parse_json(std::string_view text, size_t padding, size_t max_nesting) {
  thread_local ThreadParser kept;
  if (kept.parser && (kept.max_nesting != max_nesting || kept.parser->capacity() > kLargestKeptCapacity)) {
    kept.parser.reset();
  }
  if (!kept.parser) {
    kept.parser.emplace();
    kept.max_nesting = max_nesting;
    if (kept.parser->allocate(4096, max_nesting) != simdjson::SUCCESS) {
      kept.parser.reset();
      return fail(ErrorCode::kInternal, "out of memory");
    }
  }
  simdjson::dom::element root;
  const auto error = kept.parser->parse(text.data(), text.size(), padding < simdjson::SIMDJSON_PADDING).get(root);
  switch (error) {
    case simdjson::SUCCESS:
      return root;
    case simdjson::DEPTH_ERROR:
      return fail(ErrorCode::kInvalidInput, "nested deeper than " + std::to_string(max_nesting) + " levels");
    case simdjson::EMPTY:
      return fail(ErrorCode::kInvalidInput, "the text is empty");
    case simdjson::UTF8_ERROR:
      return fail(ErrorCode::kInvalidInput, "the text is not UTF-8");
    case simdjson::STRING_ERROR:
      return fail(ErrorCode::kInvalidInput, "a string is not well-formed");
    case simdjson::UNCLOSED_STRING:
      return fail(ErrorCode::kInvalidInput, "a string is not closed");
    case simdjson::UNESCAPED_CHARS:
      return fail(ErrorCode::kInvalidInput, "a control character in a string is not escaped");
    case simdjson::NUMBER_ERROR:
      return fail(ErrorCode::kInvalidInput, "a number is not well-formed or too large");
    default:
      return fail(ErrorCode::kInvalidInput, "the text is not well-formed JSON");
  }
}

Result<> read_string(std::string_view name, simdjson::dom::element value, std::optional<std::string>& target) {
  if (target) return fail(ErrorCode::kInvalidInput, "duplicate field `" + std::string(name) + "`");
  std::string_view text;
  if (value.get(text) != simdjson::SUCCESS) {
    return fail(ErrorCode::kInvalidInput, "`" + std::string(name) + "` must be a string");
  }
  target.emplace(text);
  return {};
}

Result<> read_nullable_string(std::string_view name, simdjson::dom::element value, std::optional<std::string>& target) {
  if (value.is_null()) return {};
  return read_string(name, value, target);
}

std::optional<int64_t> as_seq(simdjson::dom::element value) {
  int64_t number = 0;
  if (value.get(number) == simdjson::SUCCESS) return number;
  std::string_view text;
  if (value.get(text) != simdjson::SUCCESS) return std::nullopt;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

}  // namespace kalamdb::protocol
