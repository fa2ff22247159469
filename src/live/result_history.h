// What has become of the rows of a result, so that a client that was away is told just that.
#pragma once

#include <list>
#include <string>
#include <unordered_map>
#include <vector>

#include "live/result.h"

namespace kalamdb::live {

// Of each key the last change only. Bounded: the oldest are forgotten first. Not thread-safe.
class ResultHistory {
 public:
  struct Change {
    std::string key;
    Seq seq = 0;
    RowPtr gone;  // what the row was; nullptr: it is in the result
  };

  explicit ResultHistory(size_t max_bytes) : max_bytes_(max_bytes) {}

  // Forgets everything: from here on it tells what has changed since `from` or later.
  void restart(Seq from);
  // `seq` is not less than that of any call before.
  void add(const std::string& key, Seq seq, RowPtr gone);
  // Whether there is a change of that very `seq`.
  bool has(Seq seq) const;
  // Whether since(cursor) is complete.
  bool reaches(Seq cursor) const { return cursor >= from_; }
  // The changes after `cursor`, in the order of their `seq`.
  std::vector<Change> since(Seq cursor) const;
  // Of memory, about.
  size_t bytes() const { return bytes_; }

 private:
  static size_t bytes_of(const Change& change);
  void erase(std::list<Change>::iterator change);

  const size_t max_bytes_;
  Seq from_ = 0;
  std::list<Change> changes_;  // by `seq`
  std::unordered_map<std::string, std::list<Change>::iterator> by_key_;
  size_t bytes_ = 0;
};

}  // namespace kalamdb::live
