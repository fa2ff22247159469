// Statements and their jobs on a disk of which one call after another fails: each says what is wrong or goes through,
// the server goes on, the same statement works when the disk does, and nothing is left behind.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

#include "query/maintenance.h"
#include "query/query_service.h"
#include "query/user_export.h"
#include "storage/test_real_engine.h"

namespace kalamdb::query {
namespace {

using testing::AllOf;
using testing::HasSubstr;

// What is tried at every call.
struct Attempt {
  std::function<void()> prepare;
  std::string statement;
  std::function<void()> failed;  // what must hold when it has failed,
  std::function<void()> done;    // when it has been done, at once and after a start
  std::function<void()> undo;
  std::function<bool()> is_done = [] { return false; };  // although it has failed
};

class FaultTest : public storage::RealEngineTest {
 protected:
  void SetUp() override {
    RealEngineTest::SetUp();
    start();
  }
  void TearDown() override {
    stop();
    RealEngineTest::TearDown();
  }
  void create_tables() override {}

  void start() {
    auto opened = catalog::Catalog::open(*database_, clock_, 100);
    ASSERT_TRUE(opened) << opened.error().message;
    catalog_ = *std::move(opened);
    jobs_ = std::make_unique<jobs::JobManager>(*database_, clock_, random_,
                                               jobs::JobOptions{.max_retries = 2, .retry_backoff_ms = 0});
    auto facts = std::make_shared<ServerFacts>();
    facts->data_directory = directory_;
    queries_ = std::make_unique<QueryService>(
        Services{*catalog_, *database_, engine(), *jobs_, clock_, random_, ids_, transactions_, {}, std::move(facts)});
    register_executors(queries_->services(), *jobs_);
    ASSERT_TRUE(jobs_->start());
    ASSERT_TRUE(remove_exports(queries_->services(), std::nullopt));
  }
  void stop() {
    if (jobs_ != nullptr) jobs_->stop();
    queries_.reset();
    jobs_.reset();
    catalog_.reset();
    database_.reset();
  }
  void restart(bool power_fails) {
    stop();
    if (power_fails) {
      ASSERT_TRUE(files_.lose_power());
    }
    open();
    start();
  }

  // The last statement's message, or its rows, "1,2 3,4"; of a job that one starts, how it ended.
  Result<std::string> run(const std::string& sql) {
    SqlCall call;
    call.caller = {.actor = kRoot, .user = kRoot, .role = catalog::Role::kSystem};
    call.sql = sql;
    std::string text;
    const auto error = queries_->run(call, [&](StatementResult result) -> Result<> {
      KALAM_TRY(text, result.rows != nullptr ? rows_of(*result.rows) : end_of(result.message));
      return {};
    });
    if (error) return fail(error->error);
    return text;
  }
  static Result<std::string> rows_of(duck::QueryResult& rows) {
    std::string text;
    while (true) {
      KALAM_TRY(const duck::ResultBatch* const batch, rows.next());
      if (batch == nullptr) return text;
      for (size_t row = 0; row < batch->row_count(); ++row) {
        for (size_t column = 0; column < rows.columns().size(); ++column) {
          text += column > 0 ? "," : text.empty() ? "" : " ";
          text += to_text(batch->cell(row, column), rows.columns()[column].type);
        }
      }
    }
  }
  Result<std::string> end_of(const std::string& message) {
    constexpr std::string_view kJobId = "Job ID: ";
    const size_t job = message.find(kJobId);
    if (job == message.npos) return message;
    const std::string id = message.substr(job + kJobId.size());
    KALAM_TRY(const jobs::Job ended, jobs_->wait(id.substr(0, id.find('.'))));
    if (ended.status == jobs::JobStatus::kCompleted) return ended.message;
    return fail(ErrorCode::kExecution, ended.message);
  }
  std::string result(const std::string& sql) {
    const auto done = run(sql);
    if (!done) ADD_FAILURE() << sql << ": " << done.error().message;
    return done.value_or("");
  }

  void fail_everywhere(const Attempt& attempt) {
    const auto before = files();
    for (const bool and_after : {false, true}) {
      for (uint64_t call = 1;; ++call) {
        SCOPED_TRACE("call " + std::to_string(call) + (and_after ? " and all after it" : ""));
        attempt.prepare();
        files_.fail_call(call, and_after ? ENOSPC : EIO, and_after);
        const auto done = run(attempt.statement);
        const bool is_through = files_.changing_calls() < call;
        files_.stop_failing();
        if (!done) {
          EXPECT_FALSE(is_through) << done.error().message;
          EXPECT_THAT(done.error().message, AllOf(HasSubstr("Cannot "), HasSubstr("storage_test"),
                                                  HasSubstr(and_after ? "No space left" : "Input/output error")));
          attempt.failed();
          if (!attempt.is_done()) result(attempt.statement);
        }
        attempt.done();
        restart(and_after);
        attempt.done();
        attempt.undo();
        wait_until([&] { return jobs_->live().empty() && files() == before; });
        restart(and_after);
        EXPECT_EQ(files(), before);
        if (HasFailure()) return;
        if (is_through) break;
        ASSERT_LT(call, 100U);
      }
    }
  }

  // All but the hot store's, and what a later check of a storage takes away.
  std::vector<std::string> files() {
    auto found = real_files_.list_recursive(directory_);
    if (!found) return {found.error().message};  // removed while it was listed
    std::erase_if(*found, [](const std::string& file) {
      return file.starts_with("rocksdb/") || file.contains("/.kalamdb-check/");
    });
    return *std::move(found);
  }

  const UserId kRoot{"root"};
  platform::SnowflakeGenerator ids_{clock_, 0};
  OpenTransactions transactions_;
  std::unique_ptr<catalog::Catalog> catalog_;
  std::unique_ptr<jobs::JobManager> jobs_;
  std::unique_ptr<QueryService> queries_;
};

constexpr const char* kTable =
    "CREATE NAMESPACE app; CREATE SHARED TABLE app.t (id INT PRIMARY KEY, v INT);"
    "INSERT INTO app.t VALUES (1, 10), (2, 20), (3, 30); STORAGE FLUSH TABLE app.t;"
    "INSERT INTO app.t VALUES (4, 40); DELETE FROM app.t WHERE id IN (1, 4)";
constexpr const char* kRows = "SELECT id, v FROM app.t ORDER BY id";
constexpr const char* kExpected = "2,20 3,30";

TEST_F(FaultTest, CreateAlterAndDropStorage) {
  const std::string known = "SELECT storage_id, description FROM system.storages WHERE storage_id <> 'local'";
  const auto lake = std::filesystem::path(directory_ + "/lake").lexically_normal().string();
  const std::string create = "CREATE STORAGE lake TYPE filesystem PATH '" + lake + "'";
  fail_everywhere({.prepare = [] {},
                   .statement = create + " DESCRIPTION 'old'",
                   .failed = [&] { EXPECT_EQ(result(known), ""); },
                   .done = [&] { EXPECT_EQ(result(known), "lake,old"); },
                   .undo = [&] { result("DROP STORAGE lake"); }});
  result(create + " DESCRIPTION 'old'");
  fail_everywhere({.prepare = [&] { result("ALTER STORAGE lake SET DESCRIPTION 'old'"); },
                   .statement = "ALTER STORAGE lake SET DESCRIPTION 'new'",
                   .failed = [&] { EXPECT_EQ(result(known), "lake,old"); },
                   .done = [&] { EXPECT_EQ(result(known), "lake,new"); },
                   .undo = [] {}});
  fail_everywhere({.prepare = [] {},
                   .statement = "DROP STORAGE lake",
                   .failed = [] { ADD_FAILURE() << "no file is needed for it"; },
                   .done = [&] { EXPECT_EQ(result(known), ""); },
                   .undo = [&] { result(create + " DESCRIPTION 'new'"); }});
  // What checks have left goes with one that comes later.
  EXPECT_FALSE(real_files_.list_recursive(lake)->empty());
  clock_.advance_us(7'200'000'000);
  EXPECT_THAT(result("STORAGE CHECK lake"), HasSubstr("lake,healthy,"));
  EXPECT_THAT(*real_files_.list_recursive(lake), testing::IsEmpty());
}

// With a wrong key all credentials would be lost.
TEST_F(FaultTest, TheKeyOfCredentials) {
  const std::string credentials = R"({"access_key_id":"one","secret_access_key":"two"})";
  for (uint64_t call = 1;; ++call) {
    SCOPED_TRACE("call " + std::to_string(call));
    files_.fail_call(call, ENOSPC);
    auto sealed = database_->storages().seal_credentials("lake", credentials);
    const bool is_through = files_.changing_calls() < call;
    files_.stop_failing();
    if (!sealed) {
      EXPECT_THAT(sealed.error().message, HasSubstr("credentials.key: No space left on device"));
      sealed = database_->storages().seal_credentials("lake", credentials);
    }
    restart(true);
    const auto key = cold::Cipher::open(files_, random_, directory_ + "/credentials.key");
    EXPECT_EQ(*key->decrypt(*sealed, "storage:lake"), credentials);
    std::filesystem::remove(directory_ + "/credentials.key");
    if (is_through) break;
  }
}

TEST_F(FaultTest, Backup) {
  fail_everywhere({.prepare = [&] { result(kTable); },
                   .statement = "BACKUP DATABASE app TO 'monday'",
                   .failed = [&] { EXPECT_EQ(result(kRows), kExpected); },
                   .done =
                       [&] {
                         EXPECT_EQ(result(kRows), kExpected);
                         EXPECT_THAT(result("SHOW BACKUP 'monday'"), HasSubstr("app,t,shared,2,"));
                       },
                   .undo =
                       [&] {
                         result("DROP NAMESPACE app CASCADE");
                         std::filesystem::remove_all(directory_ + "/backups/monday");
                       }});
}

TEST_F(FaultTest, Restore) {
  result(std::string(kTable) + "; BACKUP DATABASE app TO 'monday'");
  ASSERT_TRUE(files_.sync_directory(std::filesystem::canonical(directory_ + "/backups/monday")));
  const std::string rows = "SELECT id, v FROM copy.t ORDER BY id";
  fail_everywhere({.prepare = [] {},
                   .statement = "RESTORE DATABASE copy FROM 'monday'",
                   .failed =
                       [&] {
                         EXPECT_FALSE(run(rows));
                         EXPECT_EQ(result(kRows), kExpected);
                       },
                   .done =
                       [&] {
                         EXPECT_EQ(result(rows), kExpected);
                         EXPECT_EQ(result("SELECT id FROM copy.t WHERE _deleted = true ORDER BY id"), "1 4");
                       },
                   .undo = [&] { result("DROP NAMESPACE copy CASCADE"); }});
}

TEST_F(FaultTest, Unregister) {
  fail_everywhere({.prepare = [&] { result(kTable); },
                   .statement = "UNREGISTER TABLE app.t",
                   .failed = [] {},
                   .done =
                       [&] {
                         EXPECT_FALSE(run(kRows));
                         EXPECT_TRUE(real_files_.exists(storage_directory() + "/app/t/unregistered.json"));
                       },
                   .undo =
                       [&] {
                         result("REGISTER TABLE app.t FROM 'app/t'");
                         EXPECT_EQ(result(kRows), kExpected);
                         result("DROP NAMESPACE app CASCADE");
                       }});
}

// The last step, to remove what makes the folder one to register, may fail when the table is there.
TEST_F(FaultTest, Register) {
  fail_everywhere({.prepare = [&] { result(std::string(kTable) + "; UNREGISTER TABLE app.t"); },
                   .statement = "REGISTER TABLE app.t FROM 'app/t'",
                   .failed = [] {},
                   .done = [&] { EXPECT_EQ(result(kRows), kExpected); },
                   .undo = [&] { result("DROP NAMESPACE app CASCADE"); },
                   .is_done = [&] { return run(kRows).has_value(); }});
}

// The job is interrupted when the folder can be registered, another server does so, and the statement comes again.
TEST_F(FaultTest, UnregisterOfAFolderThatAnotherServerHas) {
  for (const std::string left : {"registered.json", "unregistered.json"}) {
    SCOPED_TRACE(left);
    result(kTable);
    files_.fail_call(1, EIO, true);
    EXPECT_FALSE(run("UNREGISTER TABLE app.t"));
    files_.stop_failing();
    const std::string folder = storage_directory() + "/app/t";
    const std::string json =
        left == "registered.json"
            ? R"({"server":"another"})"
            : cold::encode(cold::BackupManifest{
                  .job_id = "RG-another",
                  .namespaces = {},
                  .tables = {
                      {.namespace_id = "app", .name = "t", .type = "shared", .files = {{.name = "table.cbor"}}}}});
    ASSERT_TRUE(real_files_.write_file(folder + "/" + left, json));
    const auto before = files();
    result("UNREGISTER TABLE app.t");
    EXPECT_FALSE(run("UNREGISTER TABLE app.t"));
    EXPECT_EQ(files(), before);
    EXPECT_EQ(real_files_.read_file(folder + "/" + left), json);
    restart(false);
    EXPECT_EQ(files(), before);
    std::filesystem::remove_all(folder);
    result("DROP NAMESPACE app CASCADE");
    restart(false);
  }
}

TEST_F(FaultTest, AFolderHasOneOwner) {
  result(std::string(kTable) + "; UNREGISTER TABLE app.t");
  const std::string mark = storage_directory() + "/app/t/registered.json";
  ASSERT_TRUE(real_files_.write_file(mark, R"({"server":"another"})"));
  const auto refused = run("REGISTER TABLE app.t FROM 'app/t'");
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("Another server is registering 'app/t'"));
  EXPECT_FALSE(run(kRows));
  std::filesystem::remove(mark);
  for (int i = 0; i < 2; ++i) {
    result("REGISTER TABLE app.t FROM 'app/t'");
    EXPECT_EQ(result(kRows), kExpected);
    EXPECT_TRUE(real_files_.exists(mark));
    result("UNREGISTER TABLE app.t");
    EXPECT_FALSE(real_files_.exists(mark));
  }
}

TEST_F(FaultTest, RegisterFromOutside) {
  result(std::string(kTable) + "; UNREGISTER TABLE app.t");
  const std::string outside = directory_ + ".outside";
  std::filesystem::rename(storage_directory() + "/app/t", outside);
  fail_everywhere({.prepare = [] {},
                   .statement = "REGISTER TABLE app.t FROM '" + outside + "'",
                   .failed = [&] { EXPECT_FALSE(run(kRows)); },
                   .done = [&] { EXPECT_EQ(result(kRows), kExpected); },
                   .undo = [&] { result("DROP TABLE app.t"); }});
  // Its Parquet files without what UNREGISTER says of them.
  for (const char* file : {"unregistered.json", "table.cbor", "tombstones.parquet", "manifest.json"}) {
    std::filesystem::remove(outside + "/" + file);
  }
  fail_everywhere({.prepare = [] {},
                   .statement = "REGISTER TABLE app.t FROM '" + outside + "'",
                   .failed = [&] { EXPECT_FALSE(run(kRows)); },
                   .done = [&] { EXPECT_EQ(result(kRows), "1,10 2,20 3,30"); },
                   .undo = [&] { result("DROP TABLE app.t"); }});
  std::filesystem::remove_all(outside);
}

TEST_F(FaultTest, ExportUserData) {
  result("CREATE NAMESPACE app; CREATE USER TABLE app.own (id INT PRIMARY KEY); INSERT INTO app.own VALUES (1), (2)");
  fail_everywhere({.prepare = [] {},
                   .statement = "EXPORT USER DATA",
                   .failed = [&] { EXPECT_EQ(result("SELECT id FROM app.own ORDER BY id"), "1 2"); },
                   .done =
                       [&] {
                         const auto exports = *user_exports(queries_->services(), kRoot);
                         EXPECT_TRUE(export_archive(queries_->services(), kRoot, exports.front().id));
                       },
                   .undo =
                       [&] {
                         clock_.advance_us(1'000'000);
                         ASSERT_TRUE(jobs_->remove_ended(clock_.now_us(), 1000));
                         ASSERT_TRUE(remove_exports(queries_->services(), std::nullopt));
                       }});
}

}  // namespace
}  // namespace kalamdb::query
