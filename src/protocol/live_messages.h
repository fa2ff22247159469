// WebSocket messages: what clients send, parsed, and what the server sends, encoded. JSON objects with a "type".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "base/ids.h"
#include "base/result.h"

namespace kalamdb::protocol {

enum class Serialization : uint8_t { kJson, kMsgpack };
enum class Compression : uint8_t { kGzip, kNone };

struct LiveProtocol {
  Serialization serialization = Serialization::kJson;
  Compression compression = Compression::kGzip;
};

struct Authenticate {
  std::string token;
  LiveProtocol protocol;
};

struct SubscribeOptions {
  std::optional<uint64_t> batch_size;
  std::optional<uint32_t> last_rows;
  std::optional<Seq> from;  // wins over last_rows
};

struct Subscribe {
  std::string id;
  std::string sql;
  // Absent (or null) means changes only; {} means all rows first.
  std::optional<SubscribeOptions> options;
};

struct NextBatch {
  std::string subscription_id;
  std::optional<Seq> last_seq_id;
};

struct Unsubscribe {
  std::string subscription_id;
};

struct Ping {};

using ClientMessage = std::variant<Authenticate, Subscribe, NextBatch, Unsubscribe, Ping>;

// Unknown fields are ignored. Errors: kInvalidInput "Invalid message: …" (at most 120 bytes, so that it fits a close
// frame).
Result<ClientMessage> parse_client_message(std::string_view json);

struct BatchControl {
  uint32_t batch_num = 0;
  bool has_more = false;
  std::optional<Seq> last_seq_id;
};

enum class ChangeType : uint8_t { kInsert, kUpdate, kDelete };

std::string auth_success_message(std::string_view user, std::string_view role, const LiveProtocol& protocol);
std::string auth_error_message(std::string_view message);
// `schema_json` is what append_schema() wrote.
std::string subscription_ack_message(std::string_view subscription_id, uint64_t total_rows,
                                     const BatchControl& batch_control, std::string_view schema_json);
// `rows_json`: objects from RowObjectEncoder, separated by commas; may be empty.
std::string initial_data_batch_message(std::string_view subscription_id, std::string_view rows_json,
                                       const BatchControl& batch_control);
// Everything of a change message behind the subscription's id, which is the same for all who get the change. Either
// row may be empty, which leaves its member out.
std::string change_tail(ChangeType type, std::string_view row_json, std::string_view old_row_json);
std::string change_message(std::string_view subscription_id, std::string_view tail);
std::string live_error_message(std::string_view subscription_id, std::string_view code, std::string_view message);

// How what a connection gets is encoded.
struct FrameFormat {
  bool gzip = true;
  bool msgpack = false;

  bool operator==(const FrameFormat&) const = default;
};
inline constexpr FrameFormat kPlainText{.gzip = false};

struct EncodedFrame {
  std::string payload;
  bool binary = false;
};

// Compresses payloads of 512 bytes and more where that is allowed and makes them smaller. Such a frame is binary, as is
// one of MessagePack, every other one text.
EncodedFrame encode_frame(std::string json, FrameFormat format);

// The JSON of a client's MessagePack message (https://github.com/msgpack/msgpack/blob/master/spec.md), which may be
// compressed by gzip. Errors: kInvalidInput for what is none, is nested deeper than any message, or would have more
// than `max_bytes` uncompressed.
Result<std::string> decode_msgpack(std::string_view payload, size_t max_bytes);

}  // namespace kalamdb::protocol
