#include "cold/parquet_footer.h"

#include "base/bytes.h"

namespace kalamdb::cold {
namespace {

constexpr std::string_view kMagic = "PAR1";
constexpr uint64_t kTailBytes = sizeof(uint32_t) + 4;  // length of the footer and the magic
constexpr int kMaxNesting = 32;

// Types of the compact protocol.
enum : uint8_t { kTrue = 1, kFalse, kByte, kI16, kI32, kI64, kDouble, kBinary, kList, kSet, kMap, kStruct };

// After the first thing that is not there, all that follow are empty and ok() is false.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}

  bool ok() const { return ok_; }

  uint8_t byte() {
    const auto one = take(1);
    return one.empty() ? 0 : static_cast<uint8_t>(one[0]);
  }
  uint64_t varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64 && ok_; shift += 7) {
      const uint8_t part = byte();
      value |= static_cast<uint64_t>(part & 0x7F) << shift;
      if (part < 0x80) return value;
    }
    ok_ = false;
    return 0;
  }
  int64_t zigzag() {
    const uint64_t value = varint();
    return static_cast<int64_t>(value >> 1) ^ -static_cast<int64_t>(value & 1);
  }
  std::string_view binary() { return take(varint()); }

  // Calls `visit` with each field's id and type; what it does not read, it skips itself.
  template <typename Visit>
  void fields(const Visit& visit) {
    int64_t id = 0;
    while (ok_) {
      const uint8_t header = byte();
      const uint8_t type = header & 0x0F;
      if (type == 0) return;
      id = header >> 4 != 0 ? id + (header >> 4) : zigzag();
      visit(id, type);
    }
  }
  // Calls `visit` with the type of the elements, once for each.
  template <typename Visit>
  void elements(const Visit& visit) {
    const uint8_t header = byte();
    const uint64_t count = header >> 4 == 15 ? varint() : header >> 4;
    for (uint64_t i = 0; i < count && ok_; ++i) visit(static_cast<uint8_t>(header & 0x0F));
  }

  void skip_element(uint8_t type, int nesting = 0) {
    if (type == kTrue || type == kFalse) {
      (void)take(1);
    } else {
      skip(type, nesting);
    }
  }
  void skip(uint8_t type, int nesting = 0) {
    if (nesting > kMaxNesting) ok_ = false;
    if (!ok_) return;
    switch (type) {
      case kTrue:  // the value is in the type, but for elements of lists
      case kFalse:
        return;
      case kByte:
        (void)take(1);
        return;
      case kI16:
      case kI32:
      case kI64:
        (void)varint();
        return;
      case kDouble:
        (void)take(8);
        return;
      case kBinary:
        (void)binary();
        return;
      case kList:
      case kSet:
        return elements([&](uint8_t element) { skip_element(element, nesting + 1); });
      case kMap:
        return skip_map(nesting + 1);
      case kStruct:
        return fields([&](int64_t, uint8_t field) { skip(field, nesting + 1); });
      default:
        ok_ = false;
    }
  }

 private:
  void skip_map(int nesting) {
    const uint64_t count = varint();
    const uint8_t types = count > 0 ? byte() : 0;
    for (uint64_t i = 0; i < count && ok_; ++i) {
      skip_element(types >> 4, nesting);
      skip_element(types & 0x0F, nesting);
    }
  }
  std::string_view take(uint64_t length) {
    ok_ = ok_ && length <= bytes_.size();
    if (!ok_) return {};
    const std::string_view taken = bytes_.substr(0, length);
    bytes_.remove_prefix(length);
    return taken;
  }

  std::string_view bytes_;
  bool ok_ = true;
};

void read_key_value(Reader& reader, ParquetFooter& footer) {
  std::string key;
  std::string value;
  reader.fields([&](int64_t id, uint8_t type) {
    if (type == kBinary && (id == 1 || id == 2)) {
      (id == 1 ? key : value) = reader.binary();
    } else {
      reader.skip(type);
    }
  });
  footer.metadata.emplace(std::move(key), std::move(value));
}

std::unexpected<Error> damaged(const std::string& name) {
  return fail(ErrorCode::kCorruption, "The file " + name + " is no Parquet file, or is damaged");
}

}  // namespace

std::string ParquetFooter::value(const std::string& key) const {
  const auto found = metadata.find(key);
  return found == metadata.end() ? std::string() : found->second;
}

Result<ParquetFooter> parse_parquet_footer(std::string_view bytes) {
  constexpr int64_t kRowCount = 3;
  constexpr int64_t kKeyValues = 5;
  ParquetFooter footer;
  Reader reader(bytes);
  int64_t rows = -1;
  reader.fields([&](int64_t id, uint8_t type) {
    if (id == kRowCount && type == kI64) {
      rows = reader.zigzag();
    } else if (id == kKeyValues && type == kList) {
      reader.elements([&](uint8_t element) {
        if (element == kStruct) {
          read_key_value(reader, footer);
        } else {
          reader.skip_element(element);
        }
      });
    } else {
      reader.skip(type);
    }
  });
  if (!reader.ok() || rows < 0) return fail(ErrorCode::kCorruption, "The footer of a Parquet file is damaged");
  footer.row_count = static_cast<uint64_t>(rows);
  return footer;
}

Result<ParquetFooter> read_parquet_footer(ObjectStore& objects, const std::string& name, uint64_t size_bytes) {
  if (size_bytes < kTailBytes + kMagic.size()) return damaged(name);
  KALAM_TRY(const std::string tail, objects.get_range(name, size_bytes - kTailBytes, kTailBytes));
  const auto length = read_little_endian<uint32_t>(tail.data());
  if (!tail.ends_with(kMagic) || length > size_bytes - kTailBytes - kMagic.size() || length > kMaxGetBytes) {
    return damaged(name);
  }
  KALAM_TRY(const std::string bytes, objects.get_range(name, size_bytes - kTailBytes - length, length));
  auto footer = parse_parquet_footer(bytes);
  if (!footer) return damaged(name);
  return footer;
}

}  // namespace kalamdb::cold
