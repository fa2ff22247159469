#include "protocol/live_messages.h"

#include <algorithm>

#include "protocol/json_reader.h"
#include "protocol/json_text.h"

namespace kalamdb::protocol {
namespace {

using simdjson::dom::element;
using simdjson::dom::object;

// A close frame's reason has room for 123 bytes.
constexpr size_t kMaxReasonBytes = 120;

std::unexpected<Error> invalid(const std::string& reason) {
  std::string message = "Invalid message: " + reason;
  if (message.size() > kMaxReasonBytes) {
    size_t end = kMaxReasonBytes;
    // Not in the middle of a character.
    while (end > 0 && (static_cast<unsigned char>(message[end]) & 0xC0) == 0x80) --end;
    message.resize(end);
  }
  return fail(ErrorCode::kInvalidInput, std::move(message));
}

// The field of that name, or of its other name; absent and null are the same. Errors: both names are there.
Result<std::optional<element>> find(object fields, std::string_view name, std::string_view alias = {}) {
  std::optional<element> found;
  for (const auto& [key, value] : fields) {
    if (key != name && (alias.empty() || key != alias)) continue;
    if (found) return invalid("duplicate field `" + std::string(name) + "`");
    found = value;
  }
  if (found && found->is_null()) return std::nullopt;
  return found;
}

Result<std::string> required_string(object fields, std::string_view name) {
  KALAM_TRY(const std::optional<element> value, find(fields, name));
  if (!value) return invalid("missing field `" + std::string(name) + "`");
  std::string_view text;
  if (value->get(text) != simdjson::SUCCESS) return invalid("`" + std::string(name) + "` must be a string");
  return std::string(text);
}

Result<object> required_object(object fields, std::string_view name) {
  KALAM_TRY(const std::optional<element> value, find(fields, name));
  if (!value) return invalid("missing field `" + std::string(name) + "`");
  object inner;
  if (value->get(inner) != simdjson::SUCCESS) return invalid("`" + std::string(name) + "` must be an object");
  return inner;
}

Result<std::optional<uint64_t>> optional_count(object fields, std::string_view name, uint64_t max) {
  KALAM_TRY(const std::optional<element> value, find(fields, name));
  if (!value) return std::nullopt;
  uint64_t count = 0;
  if (value->get(count) != simdjson::SUCCESS || count > max) {
    return invalid("`" + std::string(name) + "` must be a whole number from 0 to " + std::to_string(max));
  }
  return count;
}

Result<std::optional<Seq>> optional_seq(object fields, std::string_view name, std::string_view alias = {}) {
  KALAM_TRY(const std::optional<element> value, find(fields, name, alias));
  if (!value) return std::nullopt;
  const std::optional<int64_t> seq = as_seq(*value);
  if (!seq) return invalid("`" + std::string(name) + "` must be a whole number or a decimal string");
  return seq;
}

Result<ClientMessage> parse_authenticate(object fields) {
  KALAM_TRY(const std::string method, required_string(fields, "method"));
  if (method != "jwt") return invalid("unknown method, expected `jwt`");
  Authenticate message;
  KALAM_TRY(message.token, required_string(fields, "token"));
  KALAM_TRY(const object protocol, required_object(fields, "protocol"));
  KALAM_TRY(const std::string serialization, required_string(protocol, "serialization"));
  KALAM_TRY(const std::string compression, required_string(protocol, "compression"));
  if (serialization == "msgpack") {
    message.protocol.serialization = Serialization::kMsgpack;
  } else if (serialization != "json") {
    return invalid("`serialization` must be `json` or `msgpack`");
  }
  if (compression == "none") {
    message.protocol.compression = Compression::kNone;
  } else if (compression != "gzip") {
    return invalid("`compression` must be `gzip` or `none`");
  }
  return message;
}

Result<ClientMessage> parse_subscribe(object fields) {
  KALAM_TRY(const object subscription, required_object(fields, "subscription"));
  Subscribe message;
  KALAM_TRY(message.id, required_string(subscription, "id"));
  KALAM_TRY(message.sql, required_string(subscription, "sql"));
  KALAM_TRY(const std::optional<element> value, find(subscription, "options"));
  if (!value) return message;
  object options;
  if (value->get(options) != simdjson::SUCCESS) return invalid("`options` must be an object or null");
  SubscribeOptions& parsed = message.options.emplace();
  KALAM_TRY(parsed.batch_size, optional_count(options, "batch_size", UINT64_MAX));
  KALAM_TRY(parsed.last_rows, optional_count(options, "last_rows", UINT32_MAX));
  KALAM_TRY(parsed.from, optional_seq(options, "from", "from_seq_id"));
  return message;
}

Result<ClientMessage> parse_next_batch(object fields) {
  NextBatch message;
  KALAM_TRY(message.subscription_id, required_string(fields, "subscription_id"));
  KALAM_TRY(message.last_seq_id, optional_seq(fields, "last_seq_id"));
  return message;
}

Result<ClientMessage> parse_unsubscribe(object fields) {
  Unsubscribe message;
  KALAM_TRY(message.subscription_id, required_string(fields, "subscription_id"));
  return message;
}

// {"type":"…","subscription_id":"…"
std::string begin_message(std::string_view type, std::string_view subscription_id) {
  std::string out = "{\"type\":\"";
  out.append(type);
  out.append("\",\"subscription_id\":");
  append_json_string(out, subscription_id);
  return out;
}

void append_batch_control(std::string& out, const BatchControl& control) {
  out.append(",\"batch_control\":{\"batch_num\":");
  append_integer(out, static_cast<uint64_t>(control.batch_num));
  if (!control.has_more) {
    out.append(",\"has_more\":false,\"status\":\"ready\"");
  } else if (control.batch_num == 0) {
    out.append(",\"has_more\":true,\"status\":\"loading\"");
  } else {
    out.append(",\"has_more\":true,\"status\":\"loading_batch\"");
  }
  out.append(",\"last_seq_id\":");
  if (control.last_seq_id) {
    append_integer(out, *control.last_seq_id);
  } else {
    out.append("null");
  }
  out.push_back('}');
}

}  // namespace

Result<ClientMessage> parse_client_message(std::string_view json) {
  const auto parsed = parse_json(json);
  if (!parsed) return invalid(parsed.error().message);
  object fields;
  if (parsed->get(fields) != simdjson::SUCCESS) return invalid("it must be a JSON object");
  KALAM_TRY(const std::string type, required_string(fields, "type"));
  if (type == "ping") return Ping{};
  if (type == "subscribe") return parse_subscribe(fields);
  if (type == "next_batch") return parse_next_batch(fields);
  if (type == "unsubscribe") return parse_unsubscribe(fields);
  if (type == "authenticate") return parse_authenticate(fields);
  return invalid("unknown type `" + type + "`");
}

std::string auth_success_message(std::string_view user, std::string_view role, const LiveProtocol& protocol) {
  std::string out = "{\"type\":\"auth_success\",\"user\":";
  append_json_string(out, user);
  out.append(",\"role\":");
  append_json_string(out, role);
  out.append(protocol.serialization == Serialization::kJson ? ",\"protocol\":{\"serialization\":\"json\""
                                                            : ",\"protocol\":{\"serialization\":\"msgpack\"");
  out.append(protocol.compression == Compression::kGzip ? ",\"compression\":\"gzip\"}}"
                                                        : ",\"compression\":\"none\"}}");
  return out;
}

std::string auth_error_message(std::string_view message) {
  std::string out = "{\"type\":\"auth_error\",\"message\":";
  append_json_string(out, message);
  out.push_back('}');
  return out;
}

std::string subscription_ack_message(std::string_view subscription_id, uint64_t total_rows,
                                     const BatchControl& batch_control, std::string_view schema_json) {
  std::string out = begin_message("subscription_ack", subscription_id);
  out.append(",\"total_rows\":");
  // Clients read 32 bits; 0 is what they are told when the number is not known.
  append_integer(out, total_rows > UINT32_MAX ? uint64_t{0} : total_rows);
  append_batch_control(out, batch_control);
  out.append(",\"schema\":");
  out.append(schema_json);
  out.push_back('}');
  return out;
}

std::string initial_data_batch_message(std::string_view subscription_id, std::string_view rows_json,
                                       const BatchControl& batch_control) {
  std::string out = begin_message("initial_data_batch", subscription_id);
  out.reserve(out.size() + rows_json.size() + 128);
  out.append(",\"rows\":[");
  out.append(rows_json);
  out.push_back(']');
  append_batch_control(out, batch_control);
  out.push_back('}');
  return out;
}

std::string change_tail(ChangeType type, std::string_view row_json, std::string_view old_row_json) {
  std::string out;
  out.reserve(row_json.size() + old_row_json.size() + 64);
  switch (type) {
    case ChangeType::kInsert:
      out.append(",\"change_type\":\"insert\"");
      break;
    case ChangeType::kUpdate:
      out.append(",\"change_type\":\"update\"");
      break;
    case ChangeType::kDelete:
      out.append(",\"change_type\":\"delete\"");
      break;
  }
  if (!row_json.empty()) {
    out.append(",\"rows\":[");
    out.append(row_json);
    out.push_back(']');
  }
  if (!old_row_json.empty()) {
    out.append(",\"old_values\":[");
    out.append(old_row_json);
    out.push_back(']');
  }
  out.push_back('}');
  return out;
}

std::string change_message(std::string_view subscription_id, std::string_view tail) {
  std::string out;
  out.reserve(subscription_id.size() + tail.size() + 48);
  out.append("{\"type\":\"change\",\"subscription_id\":");
  append_json_string(out, subscription_id);
  out.append(tail);
  return out;
}

std::string live_error_message(std::string_view subscription_id, std::string_view code, std::string_view message) {
  std::string out = begin_message("error", subscription_id);
  out.append(",\"code\":");
  append_json_string(out, code);
  out.append(",\"message\":");
  append_json_string(out, message);
  out.push_back('}');
  return out;
}

}  // namespace kalamdb::protocol
