// SELECT … ORDER BY … LIMIT n as a LiveResult.
#pragma once

#include <map>
#include <string>
#include <unordered_map>

#include "live/result.h"

namespace kalamdb::live {

// Keeps the first n rows and some that follow them, which move up when rows go. When few of those are left it wants to
// be loaded again; until then it gives what it has, and is short of rows only if all of them have gone meanwhile.
class TopResult final : public LiveResult {
 public:
  TopResult(uint64_t limit, model::TablePtr table, ResultSource source);

  uint64_t load_limit() const override { return limit_ + most_further_; }
  bool wants_reload() const override { return !is_complete_ && further_.size() < most_further_ / 4; }
  std::vector<ResultRow> rows() const override;

 protected:
  Result<> load_row(model::Row values) override;
  Result<> loaded() override;
  Result<RowPtr> current(const std::string& key) override { return shown(key); }
  void add(const storage::RowChange& change, model::Row values) override;
  void remove(const storage::RowChange& change, model::Row values) override;
  bool removes_by_key() const override { return true; }

 private:
  // Rows by their place: the key of the order, then the row's own.
  using Places = std::map<std::string, ResultRow>;

  void insert(std::string place, ResultRow row);
  // Before the row enters or leaves the first ones.
  void note_shown(const std::string& key) { note(key, shown(key)); }
  RowPtr shown(const std::string& key) const;
  static size_t bytes_of(const std::string& place, const ResultRow& row);
  void erase(Places& from, Places::iterator at);

  const uint64_t limit_;
  const uint64_t most_further_;
  bool is_complete_ = true;  // there are no rows that match behind those that are here
  Places first_;             // at most limit_; fewer only if further_ is empty
  Places further_;
  std::unordered_map<std::string, std::string> place_of_;  // by the row's key
};

}  // namespace kalamdb::live
