#include "cold/object_store.h"

#include <algorithm>

namespace kalamdb::cold {
namespace {

// S3 ends keys there; file systems end parts at 255, some of which stay for ".tmp" and the like.
constexpr size_t kMaxNameBytes = 1024;
constexpr size_t kMaxPartBytes = 240;

}  // namespace

Result<> check_object_name(std::string_view name) {
  const auto invalid = [&](const char* rule) {
    return fail(ErrorCode::kInvalidInput, "'" + std::string(name.substr(0, 100)) + "' can't name an object: " + rule);
  };
  if (name.size() > kMaxNameBytes) return invalid("it is longer than 1024 bytes");
  if (name.contains('\0')) return invalid("it has a NUL byte");
  for (size_t begin = 0; begin <= name.size();) {
    const size_t end = std::min(name.find('/', begin), name.size());
    const std::string_view part = name.substr(begin, end - begin);
    if (part.empty()) return invalid("a part of it is empty");
    if (part == "." || part == "..") return invalid("'.' and '..' are not allowed as parts");
    if (part.size() > kMaxPartBytes) return invalid("a part of it is longer than 240 bytes");
    begin = end + 1;
  }
  return {};
}

}  // namespace kalamdb::cold
