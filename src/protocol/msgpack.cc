#include "protocol/msgpack.h"

#include <nlohmann/json.hpp>

namespace kalamdb::protocol {

namespace {

using Json = nlohmann::ordered_json;

// Messages of clients are nested three deep.
constexpr int kMaxDepth = 16;

// Refuses what is nested too deep, before anything recurses into it. The library's interface gives the names.
class DepthCheck : public nlohmann::json_sax<Json> {
 public:
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_object(size_t) override { return ++depth_ <= kMaxDepth; }
  bool key(string_t&) override { return true; }
  bool end_object() override { return --depth_, true; }
  bool start_array(size_t) override { return ++depth_ <= kMaxDepth; }
  bool end_array() override { return --depth_, true; }
  bool parse_error(size_t, const std::string&, const nlohmann::detail::exception&) override { return false; }

 private:
  int depth_ = 0;
};

}  // namespace

std::string to_msgpack(std::string_view json) {
  std::string out;
  const Json parsed = Json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (!parsed.is_discarded()) Json::to_msgpack(parsed, out);
  return out;
}

Result<std::string> msgpack_to_json(std::string_view bytes) {
  DepthCheck check;
  if (Json::sax_parse(bytes, &check, Json::input_format_t::msgpack)) {
    const Json json = Json::from_msgpack(bytes, /*strict=*/true, /*allow_exceptions=*/false);
    if (!json.is_discarded()) return json.dump(-1, ' ', false, Json::error_handler_t::replace);
  }
  return fail(ErrorCode::kInvalidInput, "Invalid MessagePack data");
}

}  // namespace kalamdb::protocol
