// The groups of one table and scope, found by the rows that they can be about: those whose WHERE has a column = value
// are looked up by it, so that thousands of them cost a change no more than one.
#pragma once

#include <map>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "live/group.h"

namespace kalamdb::live {

// Not thread-safe. Groups are borrowed.
class GroupIndex {
 public:
  // By what Group::equality() says now.
  void add(Group* group);
  void remove(Group* group);
  // Appends, each once, the groups that a change may concern, and others that it does not.
  void find(const storage::RowChange& change, std::vector<Group*>& groups) const;

 private:
  struct Column {
    model::ColumnDefinition definition;
    std::unordered_map<std::string, std::vector<Group*>> by_value;  // by key_of()
  };

  static std::string key_of(const model::ValueView& value, const model::ColumnDefinition& column);
  // Appends those of `column` that a version of a row may concern.
  static void find(const Column& column, std::string_view row, std::vector<Group*>& groups);

  std::vector<Group*> others_;
  std::map<uint32_t, Column> columns_;                                   // by slot
  std::unordered_map<Group*, std::pair<uint32_t, std::string>> places_;  // slot and key
};

}  // namespace kalamdb::live
