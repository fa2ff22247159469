#include "cli/gzip.h"

#include <zlib.h>

namespace kalamdb::cli {

Result<std::string> gunzip(std::string_view packed, size_t max_bytes) {
  z_stream stream{};
  constexpr int kGzipOnly = 16;
  if (inflateInit2(&stream, MAX_WBITS + kGzipOnly) != Z_OK) return fail(ErrorCode::kInternal, "zlib did not start");
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
  stream.avail_in = static_cast<uInt>(packed.size());
  std::string out;
  char chunk[65536];
  int state = Z_OK;
  while (state == Z_OK && out.size() < max_bytes) {
    stream.next_out = reinterpret_cast<Bytef*>(chunk);
    stream.avail_out = sizeof chunk;
    state = inflate(&stream, Z_NO_FLUSH);
    out.append(chunk, sizeof chunk - stream.avail_out);
  }
  inflateEnd(&stream);
  if (state == Z_STREAM_END) return out;
  if (state == Z_OK) return fail(ErrorCode::kResultTooLarge, "a compressed message unpacks to more than is allowed");
  return fail(ErrorCode::kCorruption, "a compressed message is damaged");
}

}  // namespace kalamdb::cli
