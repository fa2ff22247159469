// Reading a file record by record in bounded memory.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace kalamdb::cli {

// A window on a file that moves forward. Behind its end there are always kPadding readable bytes, as simdjson wants.
class InputBuffer {
 public:
  static constexpr size_t kPadding = 64;
  static constexpr size_t kMaxRecordBytes = 16 << 20;

  InputBuffer() = default;
  ~InputBuffer();
  InputBuffer(const InputBuffer&) = delete;
  InputBuffer& operator=(const InputBuffer&) = delete;

  // "-" = standard input. kIo when it cannot be read.
  Result<> open(const std::string& path);
  // Text in place of a file, for tests.
  void open_text(std::string_view text);

  // What has been read and not consumed.
  std::string_view view() const { return {data_.data() + begin_, end_ - begin_}; }
  // Reads more behind the view; false at the end of the file. Views into the buffer are no longer good.
  // kIo on a read error; kInvalidInput when one record has outgrown kMaxRecordBytes.
  Result<bool> refill();
  void consume(size_t bytes) { begin_ += bytes, consumed_ += bytes; }

  uint64_t consumed_bytes() const { return consumed_; }
  // 0 where the size is not known (a pipe).
  uint64_t file_bytes() const { return file_bytes_; }

 private:
  std::vector<char> data_ = std::vector<char>((1 << 20) + kPadding);
  size_t begin_ = 0;
  size_t end_ = 0;
  uint64_t consumed_ = 0;
  uint64_t file_bytes_ = 0;
  int file_ = -1;
};

// One record and where it starts. The views hold until the next record is read.
struct Record {
  std::string_view text;  // as in the file, without the line end
  uint64_t line = 0;      // 1-based
};

// Lines that are not blank.
class LineReader {
 public:
  explicit LineReader(InputBuffer& input) : input_(input) {}
  // False at the end of the file.
  Result<bool> next(Record& record);

 private:
  InputBuffer& input_;
  size_t pending_ = 0;  // bytes of the view that the last record took
  uint64_t line_ = 0;
};

// A field of a CSV record. An empty field without quotes is NULL.
struct CsvField {
  std::string_view text;
  bool quoted = false;
};

// RFC 4180: fields separated by commas, in double quotes where they hold commas, quotes (doubled) or line ends.
class CsvReader {
 public:
  explicit CsvReader(InputBuffer& input) : input_(input) {}
  // False at the end of the file. A record whose quotes are wrong is given with `problem` set and no fields.
  Result<bool> next(Record& record, std::vector<CsvField>& fields, std::string& problem);

 private:
  enum class Parse { kDone, kNeedMore, kBadQuote };
  Parse parse(std::string_view text, bool at_end, std::vector<CsvField>& fields, size_t& length);

  InputBuffer& input_;
  std::string unescaped_;  // fields that had doubled quotes
  size_t pending_ = 0;
  uint64_t line_ = 1;
};

}  // namespace kalamdb::cli
