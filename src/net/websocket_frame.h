// The frame format of RFC 6455: reading what clients send, writing what the server sends. Knows no sockets.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace kalamdb::net {

enum class Opcode : uint8_t { kContinuation = 0, kText = 1, kBinary = 2, kClose = 8, kPing = 9, kPong = 10 };

// A violation of the protocol and the close code that answers it.
struct ProtocolError {
  uint16_t code;
  const char* reason;
};

// What a FrameReader finds. Called from feed(), in the order of the bytes.
class FrameSink {
 public:
  // A whole message; text is valid UTF-8.
  virtual void on_frame_message(std::string payload, bool binary) = 0;
  // The end of a message over the bound, of which nothing was kept.
  virtual void on_frame_oversized(size_t bytes) = 0;
  // A ping, a pong or a close, with at most 125 bytes.
  virtual void on_frame_control(Opcode opcode, std::string_view payload) = 0;

 protected:
  ~FrameSink() = default;
};

// Reads masked client frames from bytes that come in any portions, joins fragments and bounds memory: of a message over
// `max_message_bytes` nothing more is kept once that is known.
class FrameReader {
 public:
  explicit FrameReader(size_t max_message_bytes) : max_message_bytes_(max_message_bytes) {}

  // Consumes all bytes, unmasking them in place. After an error the reader must not be used any more.
  std::optional<ProtocolError> feed(char* data, size_t size, FrameSink& sink);

 private:
  std::optional<ProtocolError> start_frame();
  void take_payload(char* data, size_t size);
  std::optional<ProtocolError> finish_frame(FrameSink& sink);
  size_t header_size() const;

  size_t max_message_bytes_;
  uint64_t payload_left_ = 0;
  uint64_t message_bytes_ = 0;  // of the message so far, kept or not
  std::string message_;
  uint8_t header_[14];
  uint8_t header_have_ = 0;
  bool in_payload_ = false;
  bool fin_ = false;
  Opcode opcode_ = Opcode::kContinuation;          // of this frame
  Opcode message_opcode_ = Opcode::kContinuation;  // of the message; kContinuation while there is none
  uint8_t mask_[4];
  uint8_t mask_phase_ = 0;
  uint8_t control_size_ = 0;
  char control_[125];
};

// Bytes of the header of an unmasked frame with that payload: 2, 4 or 10.
size_t frame_header_size(size_t payload_size);
// Writes the header of an unfragmented, unmasked frame to `out` (10 bytes at most) and returns its size.
size_t write_frame_header(char* out, Opcode opcode, size_t payload_size);

// The payload of a close frame; `reason` is cut to 123 bytes at a character boundary. Code 1005 gives none.
std::string close_payload(uint16_t code, std::string_view reason);
// The code in a received close payload (1005 for none), or why the payload is wrong.
struct CloseCode {
  uint16_t code = 1005;
  std::optional<ProtocolError> error;
};
CloseCode parse_close(std::string_view payload);

bool valid_utf8(std::string_view text);

// The Sec-WebSocket-Accept value that answers a Sec-WebSocket-Key.
std::string websocket_accept(std::string_view key);

}  // namespace kalamdb::net
