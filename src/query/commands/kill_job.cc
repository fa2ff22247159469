// KILL JOB 'id'
#include "auth/permissions.h"
#include "query/commands.h"

namespace kalamdb::query {

namespace {

class KillJob : public Command {
 public:
  explicit KillJob(std::string id) : id_(std::move(id)) {}

  Result<> authorize(const Caller&) const override { return {}; }  // depends on who started it: see run()

  Result<StatementResult> run(const Services& services, const StatementContext& context) const override {
    KALAM_TRY(const jobs::Job job, services.jobs.find(id_));
    // Whoever acts for another is that one: jobs that they started for themselves are not at hand here.
    KALAM_CHECK(auth::check_kill_job(job.started_by, {context.caller.user, context.caller.role}));
    KALAM_TRY(const jobs::Job killed, services.jobs.kill(id_));
    StatementResult result;
    result.message = killed.live() ? "Job '" + id_ + "' is being cancelled: it stops at its next batch"
                                   : "Job '" + id_ + "' cancelled";
    return result;
  }

 private:
  std::string id_;
};

}  // namespace

ParsedCommand parse_kill_job(TokenReader& reader) {
  KALAM_TRY(std::string id, reader.string("a job id in quotes"));
  KALAM_CHECK(reader.end());
  return std::make_unique<KillJob>(std::move(id));
}

}  // namespace kalamdb::query
