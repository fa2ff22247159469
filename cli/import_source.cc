#include "cli/import_source.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace kalamdb::cli {

InputBuffer::~InputBuffer() {
  if (file_ > STDIN_FILENO) close(file_);
}

Result<> InputBuffer::open(const std::string& path) {
  file_ = path == "-" ? STDIN_FILENO : ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat status {};
  if (file_ < 0 || fstat(file_, &status) != 0) {
    return fail(ErrorCode::kIo, fmt::format("cannot read {}: {}", path, std::strerror(errno)));
  }
  if (S_ISREG(status.st_mode)) file_bytes_ = static_cast<uint64_t>(status.st_size);
  KALAM_TRY(const bool any, refill());
  if (any && view().starts_with("\xEF\xBB\xBF")) consume(3);  // a byte order mark
  return {};
}

void InputBuffer::open_text(std::string_view text) {
  data_.assign(text.begin(), text.end());
  data_.resize(text.size() + kPadding);
  end_ = text.size();
}

Result<bool> InputBuffer::refill() {
  if (file_ < 0) return false;
  if (begin_ > 0) {
    std::memmove(data_.data(), data_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  if (end_ + kPadding == data_.size()) {
    if (end_ >= kMaxRecordBytes) {
      return fail(ErrorCode::kInvalidInput,
                  fmt::format("a record is larger than {} MiB; is it the right format?", kMaxRecordBytes >> 20));
    }
    data_.resize(end_ * 2 + kPadding);
  }
  ssize_t count = 0;
  do {
    count = read(file_, data_.data() + end_, data_.size() - kPadding - end_);
  } while (count < 0 && errno == EINTR);
  if (count < 0) return fail(ErrorCode::kIo, fmt::format("reading failed: {}", std::strerror(errno)));
  end_ += static_cast<size_t>(count);
  return count > 0;
}

Result<bool> LineReader::next(Record& record) {
  input_.consume(std::exchange(pending_, 0));
  size_t searched = 0;
  while (true) {
    const std::string_view view = input_.view();
    const size_t end = view.find('\n', searched);
    size_t length = end;
    if (end == std::string_view::npos) {
      searched = view.size();
      KALAM_TRY(const bool more, input_.refill());
      if (more) continue;
      length = input_.view().size();
      if (length == 0) return false;
    }
    ++line_;
    const size_t whole = length + (end == std::string_view::npos ? 0 : 1);
    const std::string_view text = input_.view().substr(0, length);
    if (text.find_first_not_of(" \t\r") == std::string_view::npos) {
      input_.consume(whole);
      searched = 0;
      continue;
    }
    record = {text.ends_with('\r') ? text.substr(0, length - 1) : text, line_};
    pending_ = whole;
    return true;
  }
}

// Parses one record at the front of `text`; `length` is what it takes, line end included.
CsvReader::Parse CsvReader::parse(std::string_view text, bool at_end, std::vector<CsvField>& fields, size_t& length) {
  fields.clear();
  unescaped_.clear();
  size_t at = 0;
  while (true) {
    CsvField field;
    if (at < text.size() && text[at] == '"') {
      field.quoted = true;
      const size_t start = ++at;
      bool doubled = false;
      while (true) {
        at = text.find('"', at);
        if (at == std::string_view::npos) return at_end ? Parse::kBadQuote : Parse::kNeedMore;
        if (at + 1 == text.size() && !at_end) return Parse::kNeedMore;
        if (at + 1 == text.size() || text[at + 1] != '"') break;
        doubled = true;
        at += 2;
      }
      field.text = text.substr(start, at - start);
      if (doubled) {
        // All that can be unescaped of this text fits, so that views into it stay good while it grows.
        unescaped_.reserve(text.size());
        const size_t from = unescaped_.size();
        for (size_t i = 0; i < field.text.size(); ++i) {
          unescaped_.push_back(field.text[i]);
          if (field.text[i] == '"') ++i;
        }
        field.text = std::string_view(unescaped_).substr(from);
      }
      ++at;
      if (at < text.size() && text[at] == '\r') ++at;
      if (at < text.size() && text[at] != ',' && text[at] != '\n') return Parse::kBadQuote;
    } else {
      const size_t end = text.find_first_of(",\n", at);
      if (end == std::string_view::npos && !at_end) return Parse::kNeedMore;
      field.text = text.substr(at, end == std::string_view::npos ? end : end - at);
      at = std::min(end, text.size());
      if (field.text.ends_with('\r')) field.text.remove_suffix(1);
    }
    fields.push_back(field);
    if (at == text.size() && !at_end) return Parse::kNeedMore;
    if (at == text.size() || text[at] == '\n') {
      length = std::min(at + 1, text.size());
      return Parse::kDone;
    }
    ++at;  // the comma
  }
}

Result<bool> CsvReader::next(Record& record, std::vector<CsvField>& fields, std::string& problem) {
  const std::string_view last = input_.view().substr(0, pending_);
  line_ += static_cast<uint64_t>(std::count(last.begin(), last.end(), '\n'));
  input_.consume(std::exchange(pending_, 0));
  problem.clear();
  bool at_end = false;
  while (true) {
    const std::string_view view = input_.view();
    if (at_end && view.empty()) return false;
    size_t length = 0;
    const Parse result = view.empty() ? Parse::kNeedMore : parse(view, at_end, fields, length);
    if (result == Parse::kNeedMore) {
      KALAM_TRY(const bool more, input_.refill());
      at_end = !more;
      continue;
    }
    if (result == Parse::kBadQuote) {
      // The next line is the best guess at where sense begins again.
      problem = "a quoted field does not end where it should";
      length = std::min(view.find('\n'), view.size() - 1) + 1;
      fields.clear();
    } else if (fields.size() == 1 && fields[0].text.empty() && !fields[0].quoted) {
      input_.consume(length);
      ++line_;
      continue;
    }
    std::string_view text = view.substr(0, length);
    while (text.ends_with('\n') || text.ends_with('\r')) text.remove_suffix(1);
    record = {text, line_};
    pending_ = length;
    return true;
  }
}

}  // namespace kalamdb::cli
