// KILL LIVE QUERY 'id'
#include <algorithm>

#include "auth/permissions.h"
#include "query/commands.h"
#include "query/live_queries.h"

namespace kalamdb::query {

namespace {

class KillLiveQuery : public Command {
 public:
  explicit KillLiveQuery(std::string id) : id_(std::move(id)) {}

  Result<> authorize(const Caller&) const override { return {}; }  // depends on whose it is: see run()

  Result<StatementResult> run(const Services& services, const StatementContext& context) const override {
    LiveQueries* const live = services.facts->live_queries;
    const auto all = live == nullptr ? std::vector<LiveQuery>() : live->list();
    const auto found = std::ranges::find(all, id_, &LiveQuery::id);
    if (found == all.end()) return fail(ErrorCode::kNotFound, "Live query " + id_ + " not found");
    KALAM_CHECK(auth::check_kill_live_query(found->user, {context.caller.user, context.caller.role}));
    KALAM_CHECK(live->kill(id_));
    StatementResult result;
    result.message = "Live query killed: " + id_;
    return result;
  }

 private:
  std::string id_;
};

}  // namespace

ParsedCommand parse_kill_live_query(TokenReader& reader) {
  KALAM_TRY(std::string id, reader.string("a live query's id in quotes"));
  KALAM_CHECK(reader.end());
  return std::make_unique<KillLiveQuery>(std::move(id));
}

}  // namespace kalamdb::query
