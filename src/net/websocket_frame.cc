#include "net/websocket_frame.h"

#include <openssl/evp.h>

#include <algorithm>
#include <cstring>

#include "base/bytes.h"

namespace kalamdb::net {

namespace {

bool is_control(Opcode opcode) { return static_cast<uint8_t>(opcode) >= 8; }

// XORs with the mask starting at `phase`; eight bytes at a time, since this is all the work that a large message costs.
void unmask(char* data, size_t size, const uint8_t (&mask)[4], uint8_t phase) {
  uint8_t rotated[8];
  for (size_t i = 0; i < 8; ++i) rotated[i] = mask[(phase + i) & 3];
  uint64_t wide;
  std::memcpy(&wide, rotated, sizeof wide);
  size_t i = 0;
  for (; i + 8 <= size; i += 8) {
    uint64_t block;
    std::memcpy(&block, data + i, sizeof block);
    block ^= wide;
    std::memcpy(data + i, &block, sizeof block);
  }
  for (; i < size; ++i) data[i] = static_cast<char>(data[i] ^ static_cast<char>(rotated[i & 7]));
}

}  // namespace

size_t FrameReader::header_size() const {
  if (header_have_ < 2) return 2;
  uint8_t length = header_[1] & 0x7f;
  return (length == 126 ? 4 : length == 127 ? 10 : 2) + ((header_[1] & 0x80) != 0 ? 4 : 0);
}

std::optional<ProtocolError> FrameReader::feed(char* data, size_t size, FrameSink& sink) {
  while (size > 0 || in_payload_) {
    if (!in_payload_) {
      while (size > 0 && header_have_ < header_size()) {
        header_[header_have_++] = static_cast<uint8_t>(*data++);
        --size;
      }
      if (header_have_ < header_size()) return std::nullopt;
      if (auto error = start_frame()) return error;
    }
    size_t portion = static_cast<size_t>(std::min<uint64_t>(size, payload_left_));
    take_payload(data, portion);
    data += portion;
    size -= portion;
    if (payload_left_ > 0) return std::nullopt;
    in_payload_ = false;
    header_have_ = 0;
    if (auto error = finish_frame(sink)) return error;
  }
  return std::nullopt;
}

std::optional<ProtocolError> FrameReader::start_frame() {
  if ((header_[0] & 0x70) != 0) return ProtocolError{1002, "Reserved bits set"};
  if ((header_[1] & 0x80) == 0) return ProtocolError{1002, "Frame not masked"};
  fin_ = (header_[0] & 0x80) != 0;
  opcode_ = static_cast<Opcode>(header_[0] & 0x0f);
  const char* bytes = reinterpret_cast<const char*>(header_);
  uint64_t length = header_[1] & 0x7f;
  if (length == 126) {
    length = read_big_endian<uint16_t>(bytes + 2);
  } else if (length == 127) {
    length = read_big_endian<uint64_t>(bytes + 2);
    if (length >> 63 != 0) return ProtocolError{1002, "Bad frame length"};
  }
  std::memcpy(mask_, header_ + header_size() - 4, 4);
  mask_phase_ = 0;
  payload_left_ = length;
  in_payload_ = true;
  control_size_ = 0;
  switch (opcode_) {
    case Opcode::kText:
    case Opcode::kBinary:
      if (message_opcode_ != Opcode::kContinuation) return ProtocolError{1002, "Message inside a message"};
      message_opcode_ = opcode_;
      break;
    case Opcode::kContinuation:
      if (message_opcode_ == Opcode::kContinuation) return ProtocolError{1002, "Continuation of nothing"};
      break;
    case Opcode::kClose:
    case Opcode::kPing:
    case Opcode::kPong:
      if (!fin_ || length > 125) return ProtocolError{1002, "Bad control frame"};
      return std::nullopt;
    default:
      return ProtocolError{1002, "Unknown opcode"};
  }
  if (length > UINT64_MAX / 2 - message_bytes_) return ProtocolError{1002, "Bad frame length"};
  message_bytes_ += length;
  // Dropped as soon as it is known to be too large, so that the bytes held never pass the bound.
  if (message_bytes_ > max_message_bytes_) std::string().swap(message_);
  return std::nullopt;
}

void FrameReader::take_payload(char* data, size_t size) {
  payload_left_ -= size;
  bool kept = is_control(opcode_) || message_bytes_ <= max_message_bytes_;
  if (!kept || size == 0) return;
  unmask(data, size, mask_, mask_phase_);
  mask_phase_ = static_cast<uint8_t>((mask_phase_ + size) & 3);
  if (is_control(opcode_)) {
    std::memcpy(control_ + control_size_, data, size);
    control_size_ = static_cast<uint8_t>(control_size_ + size);
  } else {
    message_.append(data, size);
  }
}

std::optional<ProtocolError> FrameReader::finish_frame(FrameSink& sink) {
  if (is_control(opcode_)) {
    sink.on_frame_control(opcode_, {control_, control_size_});
    return std::nullopt;
  }
  if (!fin_) return std::nullopt;
  bool binary = message_opcode_ == Opcode::kBinary;
  uint64_t bytes = message_bytes_;
  std::string message = std::move(message_);
  message_.clear();
  message_bytes_ = 0;
  message_opcode_ = Opcode::kContinuation;
  if (bytes > max_message_bytes_) {
    sink.on_frame_oversized(static_cast<size_t>(bytes));
    return std::nullopt;
  }
  if (!binary && !valid_utf8(message)) return ProtocolError{1007, "Invalid UTF-8"};
  sink.on_frame_message(std::move(message), binary);
  return std::nullopt;
}

size_t frame_header_size(size_t payload_size) { return payload_size < 126 ? 2 : payload_size <= 0xffff ? 4 : 10; }

size_t write_frame_header(char* out, Opcode opcode, size_t payload_size) {
  out[0] = static_cast<char>(0x80 | static_cast<uint8_t>(opcode));
  size_t header = frame_header_size(payload_size);
  if (header == 2) {
    out[1] = static_cast<char>(payload_size);
    return header;
  }
  out[1] = header == 4 ? 126 : 127;
  for (size_t i = header - 1; i >= 2; --i, payload_size >>= 8) out[i] = static_cast<char>(payload_size & 0xff);
  return header;
}

std::string close_payload(uint16_t code, std::string_view reason) {
  std::string payload;
  if (code == 1005) return payload;
  append_big_endian(payload, code);
  size_t size = std::min<size_t>(reason.size(), 123);
  while (size > 0 && size < reason.size() && (static_cast<uint8_t>(reason[size]) & 0xc0) == 0x80) --size;
  payload += reason.substr(0, size);
  return payload;
}

CloseCode parse_close(std::string_view payload) {
  if (payload.empty()) return {};
  if (payload.size() == 1) return {1002, ProtocolError{1002, "Bad close frame"}};
  uint16_t code = read_big_endian<uint16_t>(payload.data());
  bool defined = (code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006);
  if (!defined && (code < 3000 || code > 4999)) return {1002, ProtocolError{1002, "Bad close code"}};
  if (!valid_utf8(payload.substr(2))) return {1007, ProtocolError{1007, "Invalid UTF-8"}};
  return {code, std::nullopt};
}

bool valid_utf8(std::string_view text) {
  const auto* p = reinterpret_cast<const uint8_t*>(text.data());
  const uint8_t* end = p + text.size();
  auto continues = [&](size_t i, uint8_t low = 0x80, uint8_t high = 0xbf) { return p[i] >= low && p[i] <= high; };
  while (p < end) {
    uint64_t block;
    if (end - p >= 8 && (std::memcpy(&block, p, 8), (block & 0x8080808080808080) == 0)) {
      p += 8;
      continue;
    }
    size_t left = static_cast<size_t>(end - p);
    uint8_t c = *p;
    // The bounds of the second byte exclude overlong forms, surrogates and what lies beyond U+10FFFF (RFC 3629 §4).
    if (c < 0x80) {
      p += 1;
    } else if (c >= 0xc2 && c <= 0xdf && left >= 2 && continues(1)) {
      p += 2;
    } else if (c >= 0xe0 && c <= 0xef && left >= 3 && continues(1, c == 0xe0 ? 0xa0 : 0x80, c == 0xed ? 0x9f : 0xbf) &&
               continues(2)) {
      p += 3;
    } else if (c >= 0xf0 && c <= 0xf4 && left >= 4 && continues(1, c == 0xf0 ? 0x90 : 0x80, c == 0xf4 ? 0x8f : 0xbf) &&
               continues(2) && continues(3)) {
      p += 4;
    } else {
      return false;
    }
  }
  return true;
}

std::string websocket_accept(std::string_view key) {
  std::string text(key);
  text += "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  EVP_Digest(text.data(), text.size(), digest, &size, EVP_sha1(), nullptr);
  unsigned char encoded[64];
  int length = EVP_EncodeBlock(encoded, digest, static_cast<int>(size));
  return {reinterpret_cast<char*>(encoded), static_cast<size_t>(length)};
}

}  // namespace kalamdb::net
