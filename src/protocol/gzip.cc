#include <zlib.h>

#include "base/assert.h"
#include "protocol/live_messages.h"

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

}  // namespace

EncodedFrame encode_frame(std::string json, bool gzip_allowed) {
  if (gzip_allowed && json.size() >= kSmallestCompressedBytes) {
    thread_local Gzip gzip;
    std::string compressed;
    if (gzip.compress(json, compressed)) {
      compressed.shrink_to_fit();
      return {std::move(compressed), true};
    }
  }
  return {std::move(json), false};
}

}  // namespace kalamdb::protocol
