#include <zlib.h>

#include <algorithm>
#include <memory>

#include "base/assert.h"
#include "protocol/live_messages.h"
#include "protocol/msgpack.h"

namespace kalamdb::protocol {
namespace {

constexpr size_t kSmallestCompressedBytes = 512;

// A compressor kept for the life of its thread: making one costs more than compressing a message.
class Gzip {
 public:
  Gzip() {
    constexpr int kGzipWindow = 15 + 16;
    constexpr int kMemoryLevel = 8;
    KALAM_ASSERT(deflateInit2(&stream_, Z_BEST_SPEED, Z_DEFLATED, kGzipWindow, kMemoryLevel, Z_DEFAULT_STRATEGY) ==
                 Z_OK);
  }
  ~Gzip() { deflateEnd(&stream_); }
  Gzip(const Gzip&) = delete;
  Gzip& operator=(const Gzip&) = delete;

  // Compresses into `out` if the result is smaller than the text.
  bool compress(const std::string& text, std::string& out) {
    if (text.size() > UINT32_MAX || deflateReset(&stream_) != Z_OK) return false;
    out.resize(text.size() - 1);
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
    stream_.avail_in = static_cast<uInt>(text.size());
    stream_.next_out = reinterpret_cast<Bytef*>(out.data());
    stream_.avail_out = static_cast<uInt>(out.size());
    // Anything but the end of the stream means that the room, one byte less than the text, was not enough.
    if (deflate(&stream_, Z_FINISH) != Z_STREAM_END) return false;
    out.resize(stream_.total_out);
    return true;
  }

 private:
  z_stream stream_{};
};

constexpr std::string_view kGzipMagic = "\x1f\x8b";

Result<std::string> gunzip(std::string_view compressed, size_t max_bytes) {
  constexpr int kGzipWindow = 15 + 16;
  z_stream stream{};
  KALAM_ASSERT(inflateInit2(&stream, kGzipWindow) == Z_OK);
  const std::unique_ptr<z_stream, decltype(&inflateEnd)> end(&stream, inflateEnd);
  // A message of the greatest size needs all of it; most need a small part.
  std::string out(std::min(max_bytes + 1, 8 * compressed.size() + 64), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(compressed.data()));
  stream.avail_in = static_cast<uInt>(compressed.size());
  while (true) {
    stream.next_out = reinterpret_cast<Bytef*>(out.data() + stream.total_out);
    stream.avail_out = static_cast<uInt>(out.size() - stream.total_out);
    const int done = inflate(&stream, Z_NO_FLUSH);
    if (stream.total_out > max_bytes) {
      return fail(ErrorCode::kInvalidInput, "Message exceeds maximum size of " + std::to_string(max_bytes) + " bytes");
    }
    if (done == Z_STREAM_END) break;
    if (done != Z_OK || stream.avail_out > 0) return fail(ErrorCode::kInvalidInput, "Invalid gzip data");
    out.resize(std::min(max_bytes + 1, 2 * out.size()));
  }
  out.resize(stream.total_out);
  return out;
}

}  // namespace

EncodedFrame encode_frame(std::string json, FrameFormat format) {
  std::string payload = format.msgpack ? to_msgpack(json) : std::move(json);
  if (format.gzip && payload.size() >= kSmallestCompressedBytes) {
    thread_local Gzip gzip;
    std::string compressed;
    if (gzip.compress(payload, compressed)) {
      compressed.shrink_to_fit();
      return {std::move(compressed), true};
    }
  }
  return {std::move(payload), format.msgpack};
}

Result<std::string> decode_msgpack(std::string_view payload, size_t max_bytes) {
  if (!payload.starts_with(kGzipMagic)) return msgpack_to_json(payload);
  KALAM_TRY(const std::string plain, gunzip(payload, max_bytes));
  return msgpack_to_json(plain);
}

}  // namespace kalamdb::protocol
