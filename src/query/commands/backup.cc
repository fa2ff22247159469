// BACKUP DATABASE [ns] TO [STORAGE id] 'path'; RESTORE DATABASE [ns] FROM [STORAGE id] 'path'; SHOW BACKUP [STORAGE id]
// 'path'
#include "query/backup.h"

#include "auth/permissions.h"
#include "query/commands.h"
#include "query/system_tables.h"

namespace kalamdb::query {

namespace {

using model::TypeTag;

class AboutBackup : public Command {
 public:
  explicit AboutBackup(BackupTarget target) : target_(std::move(target)) {}
  Result<> authorize(const Caller& caller) const override {
    return auth::check_admin(auth::AdminArea::kBackup, caller.role);
  }

 protected:
  StatementResult started(const std::string& what, const std::string& job_id) const {
    StatementResult result;
    result.message = "Database " + what + " '" + target_.display() + "'. Job ID: " + job_id;
    return result;
  }

  BackupTarget target_;
};

class BackupDatabase : public AboutBackup {
 public:
  BackupDatabase(std::optional<std::string> namespace_id, BackupTarget target)
      : AboutBackup(std::move(target)), namespace_id_(std::move(namespace_id)) {}

  Result<StatementResult> run(const Services& services, const StatementContext& context) const override {
    KALAM_TRY(const std::string job, start_backup(services, target_, namespace_id_, context.caller.user));
    return started("backup started to", job);
  }

 private:
  std::optional<std::string> namespace_id_;  // nullopt: all
};

class RestoreDatabase : public AboutBackup {
 public:
  RestoreDatabase(std::optional<std::string> namespace_id, BackupTarget target)
      : AboutBackup(std::move(target)), namespace_id_(std::move(namespace_id)) {}

  Result<StatementResult> run(const Services& services, const StatementContext& context) const override {
    KALAM_TRY(const std::string job, start_restore(services, target_, namespace_id_, context.caller.user));
    return started("restore started from", job);
  }

 private:
  std::optional<std::string> namespace_id_;
};

class ShowBackup : public AboutBackup {
 public:
  using AboutBackup::AboutBackup;
  bool is_allowed_in_transaction() const override { return true; }

  Result<StatementResult> run(const Services& services, const StatementContext&) const override {
    KALAM_TRY(const auto manifest, read_backup(services, target_));
    std::vector<model::Row> rows;
    for (const auto& table : manifest.tables) {
      rows.push_back({table.namespace_id, table.name, table.type, static_cast<int64_t>(table.rows),
                      static_cast<int64_t>(table.tombstones), static_cast<int64_t>(table.files.size()),
                      static_cast<int64_t>(table.size_bytes()), manifest.seq, manifest.created_at_us});
    }
    StatementResult result;
    result.rows =
        make_result({result_column("namespace_id", TypeTag::kText), result_column("table_name", TypeTag::kText),
                     result_column("table_type", TypeTag::kText), result_column("row_count", TypeTag::kBigInt),
                     result_column("deleted_count", TypeTag::kBigInt), result_column("file_count", TypeTag::kBigInt),
                     result_column("size_bytes", TypeTag::kBigInt), result_column("seq", TypeTag::kBigInt),
                     result_column("created_at", TypeTag::kTimestamp)},
                    std::move(rows));
    return result;
  }
};

// `[name] word [STORAGE id] 'path'`; nullopt where there is no name.
Result<std::optional<std::string>> read_namespace(TokenReader& reader, std::string_view word) {
  std::optional<std::string> namespace_id;
  if (!reader.accept(word)) {
    KALAM_TRY(const Name name, reader.name("a namespace name or " + std::string(word)));
    namespace_id = lower(name.text);
    KALAM_CHECK(reader.expect(word));
  }
  return namespace_id;
}

}  // namespace

ParsedCommand parse_backup_database(TokenReader& reader) {
  KALAM_TRY(auto namespace_id, read_namespace(reader, "to"));
  KALAM_TRY(auto target, read_backup_target(reader));
  KALAM_CHECK(reader.end());
  return std::make_unique<BackupDatabase>(std::move(namespace_id), std::move(target));
}

ParsedCommand parse_restore_database(TokenReader& reader) {
  KALAM_TRY(auto namespace_id, read_namespace(reader, "from"));
  KALAM_TRY(auto target, read_backup_target(reader));
  KALAM_CHECK(reader.end());
  return std::make_unique<RestoreDatabase>(std::move(namespace_id), std::move(target));
}

ParsedCommand parse_show_backup(TokenReader& reader) {
  KALAM_TRY(auto target, read_backup_target(reader));
  KALAM_CHECK(reader.end());
  return std::make_unique<ShowBackup>(std::move(target));
}

}  // namespace kalamdb::query
