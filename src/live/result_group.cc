#include "live/result_group.h"

#include <algorithm>
#include <unordered_set>

namespace kalamdb::live {

std::span<const protocol::Field> ResultGroup::fields() const {
  if (form_.encoder == nullptr) return {};
  return form_.encoder->fields();
}

bool ResultGroup::wants_load() const {
  return !is_loading_ && (result_ == nullptr || is_altered_ || result_->wants_reload());
}

void ResultGroup::change(const storage::ChangeSetPtr& commit, const storage::RowChange& change,
                         std::vector<GroupMessage>&) {
  commit_.emplace_back(commit, &change);
}

Result<bool> ResultGroup::alter(const model::TablePtr& table) {
  GroupQuery query = query_;
  query.table = table;
  KALAM_CHECK(check_projection(query));
  query_ = std::move(query);
  is_altered_ = true;
  return false;  // install() tells, when the result is of the new definition
}

const duck::Predicate::Equality* ResultGroup::equality() const {
  return result_ == nullptr || is_altered_ ? nullptr : result_->equality();
}

Result<> ResultGroup::end_commit(std::vector<GroupMessage>& messages) {
  const std::vector<Waiting> changes = std::exchange(commit_, {});
  if (is_loading_) {
    for (const auto& [commit, change] : changes) waiting_bytes_ += change->row.size() + change->old_row.size();
    if (waiting_bytes_ > max_bytes_) {
      return fail(ErrorCode::kResultTooLarge, "The table changes faster than the result of the query can be read");
    }
    waiting_.insert(waiting_.end(), changes.begin(), changes.end());
  }
  if (result_ == nullptr || is_altered_) return {};
  return apply(changes, messages);
}

Result<> ResultGroup::apply(std::span<const Waiting> changes, std::vector<GroupMessage>& messages) {
  std::vector<const storage::RowChange*> later;
  for (const auto& [commit, change] : changes) {
    if (change->seq > seq_) later.push_back(change);
  }
  if (later.empty()) return {};
  for (const Error& error : result_->apply(later)) messages.push_back({later.back()->seq, fail(error)});
  const Seq had = std::exchange(seq_, later.back()->seq);
  KALAM_TRY(auto told, result_->take_changes());
  if (result_->bytes() > max_bytes_) {
    return fail(ErrorCode::kResultTooLarge,
                "The result has grown past the " + std::to_string(max_bytes_) + " bytes of live.max_result_bytes");
  }
  return tell(std::move(told), form_, had, messages);
}

Result<> ResultGroup::tell(std::vector<ResultChange> changes, const ResultForm& before, Seq had,
                           std::vector<GroupMessage>& messages) {
  last_ = std::move(changes);
  form_before_ = before;
  seq_before_ = had;
  if (last_.empty()) return {};
  snapshot_.reset();
  for (const ResultChange& change : last_) {
    history_.add(change.key, seq_, change.now == nullptr ? change.before : nullptr);
    const bool is_last = &change == &last_.back();
    KALAM_TRY(std::string message, message_for(change, before, is_last ? seq_ : partial_seq(had)));
    messages.push_back({seq_, std::move(message)});
  }
  return {};
}

Result<std::string> ResultGroup::message_for(const ResultChange& change, const ResultForm& before, Seq seq) const {
  if (change.now == nullptr) return before.encoder->remove(*change.before, seq, seq);
  storage::RowChange row;
  row.seq = row.old_seq = seq;
  row.row = *change.now;
  if (change.before == nullptr) return form_.encoder->insert(row);
  row.old_row = *change.before;
  return form_.encoder->update(row);
}

Result<ResultGroup::Installed> ResultGroup::install(LoadedResult loaded, std::vector<GroupMessage>& messages) {
  is_loading_ = false;
  const std::vector<Waiting> waiting = std::exchange(waiting_, {});
  waiting_bytes_ = 0;
  Installed installed{.is_first = result_ == nullptr};
  if (loaded.query.table->schema_version < query_.table->schema_version) return installed;  // altered again since
  is_altered_ = false;
  const Known before{installed.is_first ? Rows() : by_key(result_->rows()), form_, seq_};
  query_ = std::move(loaded.query);
  result_ = std::move(loaded.result);
  GroupQuery shown = query_;
  shown.table = result_->table();
  if (query_.shape.kind == duck::LiveKind::kAggregate) shown.shape.columns.clear();
  form_ = {shown.table, std::make_shared<const ChangeEncoder>(shown)};
  installed.fields_changed =
      !installed.is_first && !same_fields(before.form.encoder->fields(), form_.encoder->fields());
  // It holds more than what the hub has come to, or less.
  seq_ = loaded.seq;
  std::vector<GroupMessage> one_by_one;  // instead, those who have a former result get the difference as a whole
  KALAM_CHECK(apply(waiting, one_by_one));
  seq_ = std::max(seq_, before.seq);
  snapshot_.reset();
  if (installed.is_first) {
    history_.restart(seq_);
    return installed;
  }
  KALAM_CHECK(tell(changes_since(before), before.form, before.seq, messages));
  // Who has this `_seq` may have it with what was before, or behind.
  if (!last_.empty() || installed.fields_changed) history_.restart(seq_ + 1);
  return installed;
}

ResultSnapshotPtr ResultGroup::snapshot() {
  if (snapshot_ == nullptr || snapshot_->seq != seq_) {
    snapshot_ = std::make_shared<const ResultSnapshot>(form_, result_->rows(), seq_);
  }
  return snapshot_;
}

Result<ResultStart> ResultGroup::start(std::optional<Seq> from) {
  ResultStart start{.snapshot = snapshot()};
  if (!from) return start;
  if (!history_.reaches(*from) || history_.has(*from + 1)) {
    return fail(ErrorCode::kCursorTooOld,
                "What has changed in the result since then is not known any more; subscribe without `from`");
  }
  const Seq seq = partial_seq(*from);  // as long as the client has not got the rows, too
  std::unordered_set<std::string> changed;
  for (auto& change : history_.since(*from)) {
    if (change.gone == nullptr) {
      changed.insert(std::move(change.key));
      continue;
    }
    KALAM_TRY(std::string tail, form_.encoder->remove(*change.gone, seq, seq));
    start.gone.push_back({seq, std::move(tail)});
  }
  start.changed.emplace();
  std::ranges::copy_if(start.snapshot->rows, std::back_inserter(*start.changed),
                       [&](const ResultRow& row) { return changed.contains(row.key); });
  return start;
}

ResultGroup::Rows ResultGroup::by_key(std::vector<ResultRow> rows) {
  Rows by_key;
  for (ResultRow& row : rows) by_key.emplace(std::move(row.key), std::move(row.row));
  return by_key;
}

std::vector<ResultChange> ResultGroup::changes_since(const Known& known) const {
  const Rows now = by_key(result_->rows());
  // Rows of a table are read as it is now; those of groups only if their columns have stayed.
  const bool is_comparable =
      query_.shape.kind == duck::LiveKind::kTop || known.form.table->columns == form_.table->columns;
  std::vector<ResultChange> changes;
  for (const auto& [key, row] : known.rows) {
    if (!is_comparable || !now.contains(key)) changes.push_back({key, row, nullptr});
  }
  for (const auto& [key, row] : now) {
    const auto before = known.rows.find(key);
    if (!is_comparable || before == known.rows.end()) {
      changes.push_back({key, nullptr, row});
    } else if (*before->second != *row) {
      changes.push_back({key, before->second, row});
    }
  }
  return changes;
}

void ResultGroup::fell_behind(const SubscriptionPtr& member) {
  Rows known = by_key(result_->rows());
  for (auto change = last_.rbegin(); change != last_.rend(); ++change) {
    if (change->before == nullptr) {
      known.erase(change->key);
    } else {
      known[change->key] = change->before;
    }
  }
  known_[member.get()] = {std::move(known), form_before_, seq_before_};
}

void ResultGroup::knows(const SubscriptionPtr& member, const ResultSnapshot& snapshot) {
  known_[member.get()] = {by_key(snapshot.rows), snapshot.form, snapshot.seq};
}

Result<ResultGroup::CatchUp> ResultGroup::catch_up(const SubscriptionPtr& member, size_t max_bytes) {
  CatchUp result;
  const auto found = known_.find(member.get());
  if (found == known_.end()) {
    result.is_complete = true;
    return result;
  }
  Known& known = found->second;
  result.fields_changed = !same_fields(known.form.encoder->fields(), form_.encoder->fields());
  const auto changes = changes_since(known);
  const ResultForm before = std::exchange(known.form, form_);
  size_t bytes = 0;
  for (const ResultChange& change : changes) {
    // Rows of another form are all told away first, and at once: they cannot be compared with others.
    if (bytes >= max_bytes && before.table == form_.table) return result;
    const bool is_last = &change == &changes.back();
    KALAM_TRY(std::string message, message_for(change, before, is_last ? seq_ : partial_seq(known.seq)));
    bytes += message.size();
    result.messages.push_back(std::move(message));
    if (change.now == nullptr) {
      known.rows.erase(change.key);
    } else {
      known.rows[change.key] = change.now;
    }
  }
  known_.erase(found);
  result.is_complete = true;
  return result;
}

}  // namespace kalamdb::live
