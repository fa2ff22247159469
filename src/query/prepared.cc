#include "query/prepared.h"

#include "model/names.h"
#include "query/commands.h"
#include "query/point_plan.h"

namespace kalamdb::query {

namespace {

std::unexpected<Error> envelope_error(std::string_view what) {
  return fail(ErrorCode::kInvalidInput, "EXECUTE AS USER " + std::string(what));
}

// `EXECUTE AS USER name ( statement )`; the reader stands behind USER.
Result<PreparedPtr> prepare_as_user(TokenReader& reader) {
  auto user = reader.string_or_word("a user name");
  if (!user) return fail(ErrorCode::kInvalidInput, user.error().message);
  if (user->empty()) return envelope_error("username cannot be empty");
  if (auto valid = model::validate_user_id(*user); !valid) return fail(ErrorCode::kInvalidInput, valid.error().message);
  if (!reader.accept("(")) return envelope_error("must wrap SQL in parentheses");
  const size_t begin = reader.offset();
  size_t end = begin;
  for (int depth = 1; depth > 0;) {
    if (reader.at_end()) return envelope_error("missing closing ')'");
    end = reader.offset();
    if (reader.peek({"("})) ++depth;
    if (reader.peek({")"})) --depth;
    reader.skip();
  }
  if (!reader.at_end())
    return fail(ErrorCode::kInvalidInput, reader.unexpected("nothing behind EXECUTE AS USER's ')'").message);
  KALAM_TRY(const auto inner, duck::split_statements(reader.sql().substr(begin, end - begin)));
  if (inner.empty()) return envelope_error("requires a non-empty inner SQL statement");
  if (inner.size() > 1) return envelope_error("can only wrap a single SQL statement");
  KALAM_TRY(const PreparedPtr prepared, prepare(inner.front()));
  if (prepared->as_user) return envelope_error("cannot wrap another EXECUTE AS USER");
  // Not shared yet: prepare() has just made it.
  const_cast<Prepared&>(*prepared).as_user = *std::move(user);
  return prepared;
}

// A write whose values are in its text hardly ever comes again, and many of them would push out what does.
bool worth_keeping(const Prepared& prepared) {
  return prepared.statement != nullptr &&
         (prepared.parameter_count() > 0 || prepared.statement->kind() == duck::StatementKind::kSelect);
}

}  // namespace

Result<PreparedPtr> prepare(std::string_view sql) {
  KALAM_TRY(auto tokens, duck::tokenize(sql));
  TokenReader reader(sql, std::move(tokens));
  if (reader.accept({"execute", "as", "user"})) return prepare_as_user(reader);
  auto prepared = std::make_shared<Prepared>();
  KALAM_TRY(prepared->command, parse_command(reader));
  if (prepared->command == nullptr) {
    KALAM_TRY(prepared->statement, duck::Statement::parse(sql));
  }
  return prepared;
}

PreparedPtr PreparedCache::find(std::string_view sql) {
  const std::lock_guard lock(mutex_);
  const auto found = by_sql_.find(sql);
  if (found == by_sql_.end()) return nullptr;
  recent_.splice(recent_.begin(), recent_, found->second);
  return found->second->prepared;
}

void PreparedCache::add(std::string_view sql, const PreparedPtr& prepared) {
  const std::lock_guard lock(mutex_);
  if (by_sql_.contains(sql)) return;
  recent_.push_front({std::string(sql), prepared});
  by_sql_.emplace(recent_.front().sql, recent_.begin());
  if (recent_.size() <= kMaxEntries) return;
  by_sql_.erase(recent_.back().sql);
  recent_.pop_back();
}

Result<PreparedPtr> PreparedCache::single(std::string_view sql) {
  const bool cacheable = sql.size() <= kMaxCachedBytes;
  if (cacheable) {
    if (auto prepared = find(sql)) return prepared;
  }
  KALAM_TRY(const auto statements, duck::split_statements(sql));
  if (statements.empty()) return fail(ErrorCode::kEmptySql, "No SQL statements provided");
  if (statements.size() > 1) return nullptr;
  KALAM_TRY(PreparedPtr prepared, prepare(statements.front()));
  if (cacheable && worth_keeping(*prepared)) add(sql, prepared);
  return prepared;
}

}  // namespace kalamdb::query
